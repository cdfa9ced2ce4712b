// A picture before and after, one on top of the other: the result is right of a line that moves, and one zoom is for both.
// The element `view` has parts of the classes ba-slider, ba-zoom, ba-zoomed, ba-window, ba-stack, ba-before, ba-after and
// ba-line; before and after are images or canvases.
function beforeAfter(view) {
  const part = (name) => view.querySelector(`.ba-${name}`);
  const [slider, zoomer, frame, stack, line] = ["slider", "zoom", "window", "stack", "line"].map(part);

  function split(percent) {
    slider.value = percent;
    part("after").style.clipPath = `inset(0 0 0 ${percent}%)`;
    line.style.left = `${percent}%`;
  }

  // What is in the middle of the window stays there.
  function zoom(factor) {
    const middle = ["Width", "Height"].map((side, axis) => {
      const scrolled = axis ? frame.scrollTop : frame.scrollLeft;
      return (scrolled + frame[`client${side}`] / 2) / (frame[`scroll${side}`] || 1);
    });
    zoomer.value = factor;
    stack.style.width = `${zoomer.value * 100}%`;
    part("zoomed").textContent = `${Number(zoomer.value)}×`;
    frame.scrollLeft = middle[0] * frame.scrollWidth - frame.clientWidth / 2;
    frame.scrollTop = middle[1] * frame.scrollHeight - frame.clientHeight / 2;
    showPixels();
  }

  // Pixels that are larger than the screen's have sharp edges.
  function showPixels() {
    for (const picture of [part("before"), part("after")]) {
      const width = picture.naturalWidth ?? picture.width;
      picture.classList.toggle("ba-pixels", stack.clientWidth * devicePixelRatio > width);
    }
  }

  slider.addEventListener("input", () => split(slider.value));
  zoomer.addEventListener("input", () => zoom(zoomer.value));
  line.addEventListener("pointerdown", (event) => line.setPointerCapture(event.pointerId));
  line.addEventListener("pointermove", (event) => {
    if (!line.hasPointerCapture(event.pointerId)) return;
    const { left, width } = stack.getBoundingClientRect();
    split(Math.min(100, Math.max(0, ((event.clientX - left) / width) * 100)));
  });
  frame.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return; // as a pinch on a touchpad is reported
      event.preventDefault();
      zoom(Number(zoomer.value) - Math.sign(event.deltaY) * Number(zoomer.step || 1));
    },
    { passive: false },
  );
  for (const picture of [part("before"), part("after")]) picture.addEventListener("load", showPixels);

  // After the pictures have changed.
  function refresh() {
    split(slider.value);
    zoom(zoomer.value);
  }
  return { refresh, split, zoom };
}
