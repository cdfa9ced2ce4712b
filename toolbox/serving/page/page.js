// The page of `toolbox serve`. It keeps the ids of its jobs for this tab, so that a reload goes on where it was.
const find = (id) => document.getElementById(id);
const view = beforeAfter(find("view"));
const state = { token: null, limits: null, models: [], entries: [], shown: null, urls: [] };
const ENDED = ["done", "failed", "stopped"];

// The API

async function api(path, options = {}) {
  const headers = { ...options.headers, ...(state.token && { Authorization: `Bearer ${state.token}` }) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
  throw Object.assign(new Error(error), { status: answer.status, wait: Number(answer.headers.get("Retry-After")) });
}

// Calls the API, and again later while the server says when to come back.
async function patient(path, options, wait) {
  for (;;) {
    try {
      return await api(path, options);
    } catch (error) {
      if (!error.wait) throw error;
      wait();
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.wait));
    }
  }
}

function post(path, form, options, entry) {
  const wait = () => tell(entry, "The server is busy; this picture is sent later.");
  return patient(path, { method: "POST", body: form, ...options }, wait);
}

async function start() {
  const given = location.hash.slice(1);
  state.token = given || sessionStorage.getItem("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname); // a token in the address would be seen and bookmarked
  }
  listen();
  try {
    const health = await (await api("/api/health")).json();
    state.limits = health.limits;
    for (const kept of JSON.parse(sessionStorage.getItem("jobs") || "[]")) comeBack(kept);
    if (health.worker === "starting") say("Loading the networks …");
    state.models = await (await patient("/api/models", {}, () => say("Loading the networks …"))).json();
  } catch (error) {
    say(error.status === 401 ? "Open the address that the server printed, with its token." : reason(error), true);
    return;
  }
  for (const { name, purpose } of state.models) find("model").add(new Option(`${name}: ${purpose}`, name));
  say("Toolbox is ready. Your pictures stay on its machine.");
  offer();
}

function reason(error) {
  return error.status ? error.message : "The server does not answer.";
}

function say(text, isFault = false) {
  find("health").textContent = text;
  find("health").classList.toggle("fault", isFault);
}

// Pictures

function add(files) {
  for (const file of files) {
    const entry = newEntry(file.name || "pasted.png");
    entry.file = file;
    if (state.limits && file.size > state.limits.upload_bytes) {
      entry.file = null;
      tell(entry, `The file is too large, expected at most ${Math.round(state.limits.upload_bytes / 2 ** 20)} MB.`, true);
      continue;
    }
    const thumb = entry.part("thumb");
    thumb.src = URL.createObjectURL(file);
    thumb.addEventListener("error", () => thumb.removeAttribute("src")); // a format that this browser does not show
    state.inspecting = (state.inspecting || Promise.resolve()).then(() => inspect(entry));
  }
  offer();
}

function newEntry(name) {
  const item = find("entry").content.firstElementChild.cloneNode(true);
  const entry = { name, file: null, job: null, state: "new", report: null, item, part: (each) => item.querySelector(`.${each}`) };
  entry.part("name").textContent = name;
  for (const each of ["compare", "save", "stop", "remove"]) {
    entry.part(each).setAttribute("aria-label", `${entry.part(each).textContent} ${name}`);
  }
  entry.part("compare").addEventListener("click", async () => {
    await compare(entry);
    find("view").scrollIntoView({ block: "nearest" }); // on a phone it is below the list
  });
  entry.part("save").addEventListener("click", () => guarded(entry, () => save(`/api/jobs/${entry.job}/result`, entry.report.output)));
  entry.part("stop").addEventListener("click", () => stop(entry));
  entry.part("remove").addEventListener("click", () => remove(entry));
  item.querySelector("progress").setAttribute("aria-label", `Progress of ${name}`);
  find("pictures").append(item);
  state.entries.push(entry);
  return entry;
}

function tell(entry, text, isFault = false) {
  if (!entry) return;
  entry.part("state").textContent = text;
  entry.part("state").classList.toggle("fault", isFault);
}

async function guarded(entry, work) {
  try {
    await work();
  } catch (error) {
    tell(entry, reason(error), true);
  }
}

async function inspect(entry) {
  if (!state.entries.includes(entry) || entry.state !== "new") return;
  const form = new FormData();
  form.append("picture", entry.file, entry.name);
  await guarded(entry, async () => {
    const seen = await (await post("/api/inspect", form, {}, entry)).json();
    entry.part("seen").textContent = sentence(seen);
    if (entry.state === "new") tell(entry, "");
  });
}

function sentence(seen) {
  const [width, height] = seen.size;
  const jpeg = seen.jpeg === null ? "no JPEG" : `JPEG of quality ${seen.jpeg}`;
  const choice = seen.models.length ? `Toolbox takes ${seen.models.join(" then ")}` : "Toolbox leaves it as it is";
  const color = seen.channels === 1 ? "gray" : "color";
  return `${width} × ${height}, ${color}, ${seen.bits} bits; noise of σ = ${seen.noise.toFixed(1)}, ${jpeg}; ${choice}`;
}

// Jobs

function options() {
  const chosen = { model: find("model").value, strength: find("strength").value / 100 };
  const sizing = find("sizing").value;
  if (sizing && !find("sizing").disabled && find("amount").value) chosen[sizing] = find("amount").value;
  return chosen;
}

function restoreAll() {
  const chosen = options();
  const key = JSON.stringify(chosen);
  for (const entry of state.entries) {
    const isBusy = entry.state === "sending" || (entry.job && !ENDED.includes(entry.state));
    if (!entry.file || isBusy || (entry.state === "done" && entry.key === key)) continue;
    entry.key = key;
    guarded(entry, () => restore(entry, chosen));
  }
  offer();
}

async function restore(entry, chosen) {
  const form = new FormData();
  form.append("picture", entry.file, entry.name);
  for (const [name, value] of Object.entries(chosen)) form.append(name, value);
  await forget(entry);
  entry.state = "sending";
  tell(entry, "Sending …");
  try {
    const answer = await post("/api/restore", form, { headers: { Prefer: "respond-async" } }, entry);
    const job = await answer.json();
    if (!state.entries.includes(entry)) {
      await api(`/api/jobs/${job.id}`, { method: "DELETE" });
      return;
    }
    heard(entry, job);
    remember();
  } catch (error) {
    entry.state = "failed";
    offer();
    throw error;
  }
  await followJob(entry);
}

async function followJob(entry) {
  const id = entry.job;
  await follow(
    () => api(`/api/jobs/${id}/events`),
    (job) => entry.job === id && heard(entry, job),
    (job) => ENDED.includes(job.state) || entry.job !== id,
  );
}

function heard(entry, job) {
  [entry.job, entry.state, entry.report] = [job.id, job.state, job.report];
  const words = { waiting: "Waiting for its turn.", running: `Restoring, ${Math.round(100 * job.progress)} %` };
  tell(entry, job.error || words[job.state] || result(job.report), Boolean(job.error));
  entry.item.querySelector("progress").value = job.progress;
  offer();
  if (job.state === "done" && (!state.shown || state.shown === entry)) compare(entry);
}

function result(report) {
  const size = report.output_size.join(" × ");
  const notes = report.notes.length ? `; ${report.notes.join("; ")}` : "";
  return `${report.output}, ${size}, by ${report.model} in ${report.seconds.toFixed(1)} s${notes}`;
}

function remember() {
  const kept = state.entries.filter((entry) => entry.job).map(({ job, name }) => ({ job, name }));
  sessionStorage.setItem("jobs", JSON.stringify(kept));
}

function comeBack({ job, name }) {
  const entry = newEntry(name);
  [entry.job, entry.state] = [job, "waiting"];
  tell(entry, "Looking for its job …");
  followJob(entry).catch((error) => {
    [entry.job, entry.state] = [null, "failed"];
    tell(entry, error.status === 404 ? "Its job is no longer on the server; choose the picture again." : reason(error), true);
    remember();
    offer();
  });
}

async function forget(entry) {
  const id = entry.job;
  entry.job = null;
  if (id) await api(`/api/jobs/${id}`, { method: "DELETE" }).catch(() => {}); // it may be gone
}

async function stop(entry) {
  await forget(entry);
  entry.state = "stopped";
  tell(entry, "Stopped.");
  remember();
  offer();
}

async function remove(entry) {
  state.entries = state.entries.filter((each) => each !== entry);
  const neighbor = entry.item.nextElementSibling || entry.item.previousElementSibling;
  (neighbor?.querySelector(".remove") || find("file")).focus();
  entry.item.remove();
  URL.revokeObjectURL(entry.part("thumb").src);
  if (state.shown === entry) show(null);
  await forget(entry);
  remember();
  offer();
}

// Compare and download

async function compare(entry) {
  state.shown = entry;
  await guarded(entry, async () => {
    const parts = ["before", "after"].map(async (each) => (await api(`/api/jobs/${entry.job}/${each}`)).blob());
    const blobs = await Promise.all(parts);
    if (state.shown === entry) show(entry, blobs);
  });
}

function show(entry, blobs = []) {
  state.urls.forEach((url) => URL.revokeObjectURL(url));
  state.urls = blobs.map((blob) => URL.createObjectURL(blob));
  state.shown = entry;
  find("view").hidden = !entry;
  if (!entry) return;
  find("shown").textContent = `${entry.name}, before and after`;
  [find("before").src, find("after").src] = state.urls;
  view.refresh();
}

async function save(path, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await api(path)).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Controls

function offer() {
  const model = state.models.find(({ name }) => name === find("model").value);
  const keepsSize = model && model.sizes !== "any";
  find("sizing").disabled = Boolean(keepsSize);
  find("amount").disabled = keepsSize || !find("sizing").value;
  find("summary").textContent = model ? `${model.summary[0].toUpperCase()}${model.summary.slice(1)}.` : "";
  find("strong").textContent = `${find("strength").value} %`;
  find("restore").disabled = !state.models.length || !state.entries.some((entry) => entry.file);
  find("archive").disabled = !state.entries.some((entry) => entry.state === "done");
  find("clear").disabled = !state.entries.length;
  for (const entry of state.entries) {
    const isBusy = ["sending", "waiting", "running"].includes(entry.state);
    entry.part("compare").hidden = entry.part("save").hidden = entry.state !== "done";
    entry.part("stop").hidden = !isBusy || !entry.job;
    entry.item.querySelector("progress").hidden = !isBusy;
  }
}

function listen() {
  find("options").addEventListener("submit", (event) => {
    event.preventDefault();
    restoreAll();
  });
  find("options").addEventListener("input", offer);
  find("file").addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
  find("archive").addEventListener("click", () => {
    const ids = state.entries.filter((entry) => entry.state === "done").map((entry) => `job=${entry.job}`);
    save(`/api/archive?${ids.join("&")}`, "restored.zip").catch((error) => say(reason(error), true));
  });
  find("clear").addEventListener("click", () => [...state.entries].forEach(remove));
  document.addEventListener("paste", (event) => event.clipboardData.files.length && add(event.clipboardData.files));
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault(); // or else the browser would open the picture
      find("drop").classList.toggle("over", name === "dragover");
      if (name === "drop") add(event.dataTransfer.files);
    });
  }
}

start();
