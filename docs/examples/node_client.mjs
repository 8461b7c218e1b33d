// A client of a snakekernel in Node, over the zeromq package:
//
//   npm install zeromq
//   node node_client.mjs /path/to/kernel-1234.json
import { createHash, createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Dealer } from "zeromq";

const DELIMITER = "<IDS|MSG>";

class KernelError extends Error {
  constructor(reply) {
    super(`${reply.code}: ${reply.error}`);
    this.reply = reply; // code, error, at, fault, ename, evalue, traceback
  }
}

class Client {
  constructor(connectionFile) {
    this.info = JSON.parse(readFileSync(connectionFile, "utf8"));
    this.session = randomUUID();
    this.waiting = new Map(); // message id -> [resolve, reject]
    this.socket = new Dealer({ linger: 0 });
    const { transport, ip, shell_port: port } = this.info;
    this.socket.connect(transport === "ipc" ? `ipc://${ip}-${port}` : `tcp://${ip}:${port}`);
    this.reading = this.#read();
  }

  #sign(parts) {
    if (!this.info.key) return "";
    const hmac = createHmac(this.info.signature_scheme.replace("hmac-", ""), this.info.key);
    for (const part of parts) hmac.update(part);
    return hmac.digest("hex");
  }

  async request(op, content, buffers = []) {
    const header = {
      msg_id: randomUUID(),
      msg_type: `snake_${op}_request`,
      session: this.session,
      username: "node",
      date: new Date().toISOString(),
      version: "5.4",
    };
    // The signature does not cover buffers, so the signed metadata holds their hashes.
    const metadata = buffers.length ? { snake_buffers: buffers.map((b) => ({ length: b.length, sha256: sha256(b) })) } : {};
    const signed = [header, {}, metadata, content].map((part) => JSON.stringify(part));
    const reply = new Promise((resolve, reject) => this.waiting.set(header.msg_id, [resolve, reject]));
    await this.socket.send([DELIMITER, this.#sign(signed), ...signed, ...buffers]);
    return reply;
  }

  async #read() {
    for await (const frames of this.socket) {
      const start = frames.findIndex((frame) => frame.toString() === DELIMITER) + 1;
      const [signature, ...signed] = frames.slice(start, start + 5);
      if (signature.toString() !== this.#sign(signed)) continue;
      const [, parent, , content] = signed.map((part) => JSON.parse(part));
      const [resolve, reject] = this.waiting.get(parent.msg_id) ?? [];
      this.waiting.delete(parent.msg_id);
      if (content.status === "ok") resolve?.({ content, buffers: frames.slice(start + 5) });
      else reject?.(new KernelError(content));
    }
  }

  close() {
    this.socket.close();
  }
}

const sha256 = (buffer) => createHash("sha256").update(buffer).digest("hex");

const kernel = new Client(process.argv[2]);
let reply = await kernel.request("call", { target: "operator.add", args: [2, 3] });
console.log("operator.add(2, 3) =", reply.content.result.value);

// Float64Array -> numpy array, kept in the kernel; its mean comes back.
const data = new Float64Array([1, 2, 3, 6]);
const array = { $ndarray: { buffer: 0, dtype: "<f8", shape: [4], order: "C" } };
await kernel.request("store", { id: "array", value: array }, [Buffer.from(data.buffer)]);
reply = await kernel.request("call", { target: "stored.array.mean" });
console.log("mean:", reply.content.result.value.$npscalar.value);

reply = await kernel.request("retrieve", { id: "array" });
const back = Uint8Array.from(reply.buffers[reply.content.object.value.$ndarray.buffer]);
console.log("array:", Array.from(new Float64Array(back.buffer)).join(" "));

try {
  await kernel.request("call", { target: "math.sqrt", args: [-1] });
} catch (error) {
  console.log("error:", error.reply.code, error.reply.ename, error.reply.fault);
}
kernel.close();
