/**
 * Where rows and columns lie, and how a scroll bar of bounded length reaches all of them. No elements here.
 *
 * Rules: positions are pixels of the whole table, however long; only `ScrollMap` knows that an element may
 * not be that long.
 */

/** Browsers stop at 16 to 33 million pixels, divided by the page's zoom. */
const LONGEST_ELEMENT = 6_000_000;

/** Pixels at both ends of a longer table along which its scroll bar is not scaled. */
const NEAR_END = 100_000;

/** Places along one axis: all of one size, but for those set apart. */
export class GridAxis {
  /** @param {number} size  pixels of an entry that none was set for */
  constructor(size) {
    this.standard = size;
    this.count = 0;
    /** Positions with a size of their own, ascending; `extra[i]` is what those up to `i` add to the standard. */
    this.places = [];
    this.sizes = [];
    this.extra = [];
  }

  get total() {
    return this.offset(this.count);
  }

  /** How many places set apart lie before `index`. */
  _before(index) {
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.places[middle] < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Pixels before entry `index`. */
  offset(index) {
    const before = this._before(index);
    return index * this.standard + (before ? this.extra[before - 1] : 0);
  }

  size(index) {
    const at = this._before(index);
    return this.places[at] === index ? this.sizes[at] : this.standard;
  }

  setSize(index, size) {
    const at = this._before(index);
    const known = this.places[at] === index;
    this.places.splice(at, known ? 1 : 0, index);
    this.sizes.splice(at, known ? 1 : 0, size);
    this.extra.splice(at, known ? 1 : 0, 0);
    for (let n = at; n < this.places.length; n += 1) {
      this.extra[n] = (n ? this.extra[n - 1] : 0) + this.sizes[n] - this.standard;
    }
  }

  /** The entry at a pixel; the first or last beyond the ends. */
  at(pixel) {
    let low = 0;
    let high = Math.max(this.count - 1, 0);
    while (low < high) {
      const middle = Math.floor((low + high + 1) / 2);
      if (this.offset(middle) <= pixel) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  clear() {
    this.places = [];
    this.sizes = [];
    this.extra = [];
  }
}

/**
 * One direction's scrolling. Small moves are the user's pixels exactly; a jump of the scroll bar goes to the
 * same share of the whole. Near both ends the bar moves with the pixels, so that they can be reached slowly.
 */
export class ScrollMap {
  constructor() {
    this.total = 0;
    this.view = 0;
    this.place = 0;
    this.scroll = 0;
  }

  /** The length of the element that is scrolled. */
  get length() {
    return Math.min(this.total, LONGEST_ELEMENT);
  }

  get last() {
    return Math.max(this.total - this.view, 0);
  }

  /** Take over new sizes. Returns the scroll position that belongs to the place kept. */
  resize(total, view) {
    this.total = total;
    this.view = Math.max(view, 0);
    return this.goTo(this.place);
  }

  /** The user scrolled; sets `place`. */
  scrolled(scroll) {
    const moved = scroll - this.scroll;
    this.scroll = scroll;
    const end = this.length - this.view;
    const free = scroll > 0 && scroll < end - 1;
    this.place = this._within(free && Math.abs(moved) <= this.view ? this.place + moved : this._placeAt(scroll, end));
  }

  /** Go to a place. Returns the scroll position to set. */
  goTo(place) {
    this.place = this._within(place);
    const end = this.length - this.view;
    const left = this.last - this.place;
    if (this.length === this.total || this.place <= NEAR_END) this.scroll = Math.max(Math.min(this.place, end), 0);
    else if (left <= NEAR_END) this.scroll = end - left;
    else this.scroll = NEAR_END + ((this.place - NEAR_END) * (end - 2 * NEAR_END)) / (this.last - 2 * NEAR_END);
    return this.scroll;
  }

  _placeAt(scroll, end) {
    if (this.length === this.total || scroll <= NEAR_END) return scroll;
    if (end - scroll <= NEAR_END) return this.last - (end - scroll);
    return NEAR_END + ((scroll - NEAR_END) * (this.last - 2 * NEAR_END)) / (end - 2 * NEAR_END);
  }

  _within(place) {
    return Math.max(0, Math.min(place, this.last));
  }
}
