// The page "Try it in your browser": the picture never leaves this machine.
const MOST_PIXELS = 4e6; // of a picture
const MOST_RESULT = 24e6; // pixels of a result, which the page holds twice with 4 bytes each
const here = new URL(".", document.currentScript.src);
const find = (name) => document.getElementById(`try-${name}`);
const view = beforeAfter(find("view")); // of slider.js

const state = { networks: [], picture: null, worker: null, busy: false };

function say(text, isError = false) {
  const box = find("status");
  box.textContent = text;
  box.classList.toggle("try-error", isError);
}

async function start() {
  try {
    const answer = await fetch(new URL("networks/networks.json", here));
    if (!answer.ok) throw new Error(answer.statusText);
    state.networks = await answer.json();
  } catch {
    say("This copy of the site was built without the networks; build it with make docs.", true);
    return;
  }
  for (const network of state.networks) {
    find("network").add(new Option(`${network.title} (${network.name})`, network.name));
  }
  find("network").addEventListener("change", offerScales);
  find("file").addEventListener("change", (event) => event.target.files[0] && open(event.target.files[0]));
  find("sample").addEventListener("click", takeSample);
  find("restore").addEventListener("click", restore);
  find("abort").addEventListener("click", abort);
  const drop = find("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("try-over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
    });
  }
  offerScales();
  say("Choose a photo.");
}

function chosen() {
  return state.networks.find((network) => network.name === find("network").value);
}

function offerScales() {
  const { scales, summary, bytes } = chosen();
  find("scale").replaceChildren(...scales.map((scale) => new Option(scale === 1 ? "same size" : `×${scale}`, scale)));
  find("scale").disabled = scales.length === 1;
  find("summary").textContent = `${summary[0].toUpperCase()}${summary.slice(1)}. ${(bytes / 1e6).toFixed(1)} MB to load.`;
}

async function takeSample() {
  const answer = await fetch(new URL("sample.png", here));
  await open(new File([await answer.blob()], "sample.png"));
}

async function open(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    say(`${file.name} is no picture that this browser reads; choose a PNG, JPEG or WebP file.`, true);
    return;
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    say(
      `${file.name} has ${width} × ${height} pixels, and this page takes ${MOST_PIXELS / 1e6} million; ` +
        "crop it, or use toolbox restore, which has no such limit.",
      true,
    );
    bitmap.close();
    return;
  }
  const canvas = find("before");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // behind transparent parts
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  state.picture = { name: file.name, width, height, pixels: context.getImageData(0, 0, width, height).data };
  find("view").hidden = false;
  find("after").hidden = true;
  find("save").hidden = true;
  find("restore").disabled = false;
  view.refresh();
  say(`${file.name}, ${width} × ${height} pixels.`);
}

function restore() {
  const [network, scale, picture] = [chosen(), Number(find("scale").value), state.picture];
  const { width, height } = picture;
  if (width * height * scale * scale > MOST_RESULT) {
    say(
      `The result would have ${width * scale} × ${height * scale} pixels, and this page makes ` +
        `${MOST_RESULT / 1e6} million; choose a smaller scale or picture.`,
      true,
    );
    return;
  }
  state.worker ??= new Worker(new URL("worker.js", here), { type: "module" });
  state.worker.onmessage = ({ data }) => heard(data, picture, network, scale);
  state.worker.onerror = (event) => stop(`The browser stopped the work: ${event.message || "it has no WebAssembly"}.`, true);
  setBusy(true);
  say(`Loading ${network.name} …`);
  state.started = performance.now();
  state.worker.postMessage({ network, scale, width, height, pixels: picture.pixels });
}

function heard(data, picture, network, scale) {
  if (data.error) {
    stop(`The network failed: ${data.error}`, true);
  } else if (data.pixels) {
    show(data, picture, network, scale);
  } else {
    find("progress").value = data.done / data.total;
    say(`Tile ${data.done} of ${data.total}`);
  }
}

function show({ pixels, width, height, threads }, picture, network, scale) {
  const canvas = find("after");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  canvas.hidden = false;
  view.refresh();
  const seconds = (performance.now() - state.started) / 1000;
  stop(`${width} × ${height} pixels, by ${network.name} in ${seconds.toFixed(1)} s on ${threads} ${threads > 1 ? "threads" : "thread"}.`);
  canvas.toBlob((blob) => {
    const link = find("save");
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(blob);
    link.download = `${picture.name.replace(/\.\w+$/, "")}-${network.name}${scale > 1 ? `-x${scale}` : ""}.png`;
    link.hidden = false;
  });
}

function abort() {
  state.worker?.terminate();
  state.worker = null;
  stop("Aborted.");
}

function stop(text, isError = false) {
  setBusy(false);
  say(text, isError);
}

function setBusy(busy) {
  find("restore").disabled = busy || !state.picture;
  find("abort").disabled = !busy;
  find("file").disabled = find("sample").disabled = find("network").disabled = busy;
  find("scale").disabled = busy || chosen().scales.length === 1;
  find("progress").hidden = !busy;
  find("progress").value = 0;
}

start();
