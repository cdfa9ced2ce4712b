// Restores a picture tile by tile, off the page's own thread. To abort, the page terminates this worker.
import * as ort from "./runtime/ort.wasm.min.mjs";

const TILE = 96; // pixels per side, without the halo: a program computes all of a tile at once
ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
// Threads need shared memory, which a page has only with the headers COOP and COEP.
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;

let loaded = { name: "", session: null };

self.onmessage = async ({ data }) => {
  try {
    const session = await sessionOf(data.network);
    const pixels = await restore(session, data);
    const size = { width: data.width * data.scale, height: data.height * data.scale };
    self.postMessage({ pixels, ...size, threads: ort.env.wasm.numThreads }, [pixels.buffer]);
  } catch (error) {
    self.postMessage({ error: String(error.message || error) });
  }
};

async function sessionOf(network) {
  if (loaded.name !== network.name) {
    const answer = await fetch(new URL(`./networks/${network.name}.onnx`, import.meta.url));
    if (!answer.ok) throw new Error(`The network ${network.name} is not on this site.`);
    const session = await ort.InferenceSession.create(await answer.arrayBuffer(), { executionProviders: ["wasm"] });
    loaded = { name: network.name, session };
  }
  return loaded.session;
}

// The start and stop of each tile of an axis, and the same with the halo.
export function segments(length, halo, alignment) {
  const step = Math.ceil(TILE / alignment) * alignment;
  const found = [];
  for (let start = 0; start < length; start += step) {
    const stop = Math.min(start + step, length);
    found.push({ start, stop, from: Math.max(start - halo, 0), to: Math.min(stop + halo, length) });
  }
  return found;
}

// RGBA bytes of width × height → RGBA bytes of the result. A gray network restores each color by itself.
async function restore(session, { network, pixels, width, height, scale }) {
  const result = new Uint8ClampedArray(4 * width * height * scale * scale).fill(255);
  const rows = segments(height, network.halo, network.alignment);
  const columns = segments(width, network.halo, network.alignment);
  const passes = network.channels === 1 ? [[0], [1], [2]] : [[0, 1, 2]];
  const total = rows.length * columns.length * passes.length;
  let done = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (const colors of passes) {
        await restoreTile(session, { pixels, width, scale, row, column, colors, result });
        done += 1;
        self.postMessage({ done, total });
      }
    }
  }
  return result;
}

async function restoreTile(session, { pixels, width, scale, row, column, colors, result }) {
  const [high, wide] = [row.to - row.from, column.to - column.from];
  const values = new Float32Array(colors.length * high * wide);
  let at = 0;
  for (const color of colors) {
    for (let y = row.from; y < row.to; y += 1) {
      for (let x = column.from; x < column.to; x += 1) values[at++] = pixels[4 * (y * width + x) + color] / 255;
    }
  }
  const inputs = { image: new ort.Tensor("float32", values, [1, colors.length, high, wide]) };
  if (session.inputNames.includes("height")) {
    inputs.height = new ort.Tensor("int64", BigInt64Array.of(BigInt(high * scale)), []);
    inputs.width = new ort.Tensor("int64", BigInt64Array.of(BigInt(wide * scale)), []);
  }
  const { restored } = await session.run(inputs);
  const [tileHigh, tileWide] = [high * scale, wide * scale];
  colors.forEach((color, plane) => {
    for (let y = row.start * scale; y < row.stop * scale; y += 1) {
      const line = (plane * tileHigh + y - row.from * scale) * tileWide - column.from * scale;
      for (let x = column.start * scale; x < column.stop * scale; x += 1) {
        result[4 * (y * width * scale + x) + color] = 255 * restored.data[line + x]; // rounded and clipped
      }
    }
  });
  restored.dispose?.();
}
