import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { publicConfig } from "./config.ts";

const config = publicConfig(process.env);

/** Text below this size fits into one packet, so compressing it gains nothing. */
const SMALLEST_COMPRESSED_BYTES = 1_000;

/** Says what was built, for the program that serves it: the content security policy names the API. */
function site(): Plugin {
  return {
    name: "site",
    apply: "build",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "site.json", source: `${JSON.stringify(config)}\n` });
    },
  };
}

/** Writes a `.br` and a `.gz` beside each text, once, instead of compressing it for each request. */
function compressed(): Plugin {
  let directory = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved: (resolved) => {
      directory = resolve(resolved.root, resolved.build.outDir);
    },
    closeBundle() {
      for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
        if (!/\.(css|html|js|svg)$/.test(name)) continue;
        const file = join(directory, name);
        const bytes = readFileSync(file);
        if (bytes.length < SMALLEST_COMPRESSED_BYTES) continue;
        writeFileSync(`${file}.br`, brotliCompressSync(bytes));
        writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [site(), compressed()],
  define: { __CONFIG__: JSON.stringify(config) },
  // A file may hold what is not public; the environment of the build is the only source.
  envDir: false,
  build: {
    emptyOutDir: true,
    // Nothing is put into another file as a `data:` address, which the content security policy refuses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
