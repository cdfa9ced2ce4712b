// Server-sent events over fetch, since an EventSource cannot send a token. Calls `heard` with the data of each event until
// `ended` says so; comes back after an interruption.
async function follow(open, heard, ended) {
  for (let pause = 500; ; pause = Math.min(2 * pause, 10000)) {
    try {
      const reader = (await open()).body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const events = text.split("\n\n");
        text = events.pop();
        for (const event of events.filter((each) => each.startsWith("data: "))) {
          const data = JSON.parse(event.slice(6));
          pause = 500;
          heard(data);
          if (ended(data)) return;
        }
      }
    } catch (error) {
      if (error.status) throw error; // an answer of the server
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
