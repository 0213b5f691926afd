// Shows data.json as a table and measures how long fetching it takes. Without it the page is complete.

const ROUNDS = 60;
const source = "/data.json";

function showFacts({ facts }) {
  const table = document.querySelector("#facts");
  for (const { name, value } of facts) {
    const row = table.tBodies[0].insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    row.insertCell().textContent = value;
  }
  table.hidden = false;
}

async function timeOne() {
  const started = performance.now();
  const answer = await fetch(source, { cache: "no-store" });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return performance.now() - started;
}

function showTimes(times_ms) {
  const sorted = [...times_ms].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  const most = sorted.at(-1);
  const text = `${times_ms.length} fetches, one after another: median ${median.toFixed(2)} ms, `
    + `fastest ${sorted[0].toFixed(2)} ms, slowest ${most.toFixed(2)} ms. Most of that is the browser.`;
  const bars = document.querySelector("#bars");
  bars.replaceChildren(...times_ms.map((time) => {
    const bar = document.createElement("i");
    bar.style.height = `${Math.max(3, 100 * time / most)}%`;
    return bar;
  }));
  bars.setAttribute("aria-label", text);
  bars.hidden = false;
  document.querySelector("#result").textContent = text;
}

async function measure(button) {
  button.disabled = true;
  try {
    await timeOne(); // opens the connection
    const times_ms = [];
    for (let round = 0; round < ROUNDS; round += 1) times_ms.push(await timeOne());
    showTimes(times_ms);
  } catch (error) {
    document.querySelector("#result").textContent = `The measurement failed: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

try {
  const answer = await fetch(source);
  showFacts(await answer.json());
  const button = document.querySelector("#ask");
  button.addEventListener("click", () => measure(button));
  button.hidden = false;
} catch (error) {
  document.querySelector("#result").textContent = `data.json did not arrive: ${error.message}`;
}
