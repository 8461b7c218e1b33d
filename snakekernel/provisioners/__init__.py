"""Where kernels run: Jupyter provisioners that fork them here or start them through Ray and Dask."""
