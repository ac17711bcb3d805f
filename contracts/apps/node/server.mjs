// A Node application without packages: what `node:http` writes by itself, and what a program can make it write.
// usage: node server.mjs PORT
import { createHash, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { brotliCompressSync, deflateRawSync, gzipSync } from "node:zlib";

const text = "a sentence that repeats. ".repeat(200);
const tag = `"${createHash("sha256").update(text).digest("hex").slice(0, 16)}"`;

/** Answers with the body of the request, and says how it came. */
async function echo(request, answer) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  answer.setHeader("Content-Type", request.headers["content-type"] ?? "application/octet-stream");
  answer.setHeader("X-Received", `${request.method} ${request.url} ${body.length}`);
  answer.end(body);
}

function numbered(answer, coding, compress) {
  const body = compress(JSON.stringify({ request: randomUUID(), price: 1.5, text }));
  answer.writeHead(200, { "Content-Encoding": coding, "Content-Type": "application/json" }).end(body);
}

const pages = {
  "/": (_, answer) => answer.end("hello\n"),
  "/cookies": (_, answer) => {
    answer.setHeader("Set-Cookie", ["a=1; HttpOnly; Path=/", "b=; Max-Age=0; path=/; SameSite=None; Secure", "a=2; Domain=app.test"]);
    answer.end();
  },
  "/raw": (_, answer) => answer.writeHead(200, "Fine", ["X-Mixed-CASE", "1", "x-mixed-lower", "", "X-Last", " a  b "]).end("raw"),
  "/gzip": (_, answer) => answer.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipSync(text)),
  "/brotli": (_, answer) => answer.writeHead(200, { "Content-Encoding": "br" }).end(brotliCompressSync(text)),
  // A request's own number inside, so that each answer is compressed into other bytes.
  "/numbered/gzip": (_, answer) => numbered(answer, "gzip", gzipSync),
  "/numbered/brotli": (_, answer) => numbered(answer, "br", brotliCompressSync),
  "/numbered/deflate": (_, answer) => numbered(answer, "deflate", deflateRawSync),
  "/chunks": (_, answer) => {
    for (let number = 0; number < 200; number += 1) answer.write(`${number}\r\n`);
    answer.end();
  },
  "/events": (_, answer) => {
    answer.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    for (let number = 0; number < 5; number += 1) answer.write(`id: ${number}\ndata: {"n": ${number}.0}\n\n`);
    answer.end(": end\n");
  },
  "/tagged": (request, answer) => {
    answer.setHeader("ETag", tag);
    if (request.headers["if-none-match"] === tag) answer.writeHead(304).end();
    else answer.end(text);
  },
  "/moved": (_, answer) => answer.writeHead(308, { Location: "../a/./b?c=%7e#d" }).end(),
  "/empty": (_, answer) => answer.writeHead(204).end(),
  "/teapot": (_, answer) => answer.writeHead(418).end('{"float":1.50,"big":12345678901234567890}'),
};

const server = createServer((request, answer) => {
  const page = pages[request.url.split("?")[0]];
  if (page) page(request, answer);
  else if (request.url.startsWith("/echo")) echo(request, answer);
  else answer.writeHead(404, { "Content-Type": "text/plain" }).end(`no page ${request.url}`);
});
server.listen(Number(process.argv[2]), "127.0.0.1");
