// Writes the parts of the packed browser, decompressed, into a folder: node unpack.cjs FOLDER
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { brotliDecompressSync } = require("node:zlib");

const packed = join(process.env.PACKED, "@sparticuz", "chromium", "bin");
for (const name of ["chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"]) {
  writeFileSync(join(process.argv[2], name), brotliDecompressSync(readFileSync(join(packed, `${name}.br`))));
}
