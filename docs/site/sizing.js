// What docs/sizing.md reckons: from clients and messages to processors, memory and limits.
//
// The figures are those of docs/capacity.json and docs/security.md; tests/docs/test_sizing.py holds
// them to both, and the table of the page to what is reckoned here. In a page it makes the form.

const FIGURES = {
    /** loadgen calibrate where the others were measured. */
    calibrate: 0.796,
    /** KiB that an idle connection takes. */
    tcpKib: 3.2,
    webSocketKib: 4.8,
    /** MiB of all processes at the start, by workers; each further one takes as much as the last. */
    startMib: [57.5, 139.4, 183.9, 227.6],
    /** Microseconds of CPU for a message and its answer, by bytes each way. */
    messageUs: {
        stream: [
            [64, 22.8],
            [512, 31.8],
            [4096, 79.2],
            [32768, 408.6],
            [131072, 1232.4],
            [524288, 4148.9],
        ],
        unary: [
            [64, 57.5],
            [512, 77.0],
            [4096, 90.2],
            [32768, 451.2],
            [131072, 1228.6],
            [524288, 4638.3],
        ],
    },
    /** The same for 64 bytes, by connections that all send. */
    sendingUs: [
        [64, 34.0],
        [1000, 44.8],
        [19800, 50.1],
        [100000, 52.0],
    ],
    /** Milliseconds of CPU for a key exchange, by connections beside it. */
    exchangeMs: [
        [1, 1.81],
        [10000, 1.79],
        [19800, 2.46],
        [100000, 2.78],
    ],
};

/** The part of a processor that is planned with: above it answers are late. */
const BUSY = 2 / 3;

const MIB = 1 << 20;

/** Return a value between the points on both sides; below the first and above the last, theirs. */
function between(points, x) {
    const after = points.findIndex(([at]) => at >= x);
    if (after === 0) return points[0][1];
    if (after === -1) return points[points.length - 1][1];
    const [[left, low], [right, high]] = [points[after - 1], points[after]];
    return low + ((high - low) * (x - left)) / (right - left);
}

function startMib(workers) {
    const known = FIGURES.startMib;
    const last = known.length - 1;
    if (workers <= known.length) return known[workers - 1];
    return known[last] + (workers - known.length) * (known[last] - known[last - 1]);
}

/** Return MiB that strangers can have held beyond the start, as docs/security.md adds it up. */
function strangersMib(connections, workers, budgetMib, keyCacheMib) {
    const input = (connections * 16) / 1024;
    const parts = budgetMib * (1 / 4 + 1 / 4 + 1 / 16);
    const packet = 18;
    const exchanges = 16;
    const outage = (100000 * 670) / MIB;
    const accounts = 36;
    return input + parts + workers * (packet + exchanges + keyCacheMib + outage + accounts);
}

/**
 * Return what is needed for `wish`: { tcp, webSocket, messages, bytes, calls, exchanges, calibrate }.
 *
 * Messages and key exchanges are those of the busiest second; `calls` is "stream" or "unary".
 */
function sizing(wish) {
    const connections = wish.tcp + wish.webSocket;
    const sending = between(FIGURES.sendingUs, connections) - FIGURES.sendingUs[0][1];
    const messageUs = between(FIGURES.messageUs[wish.calls], wish.bytes) + sending;
    const exchangeMs = between(FIGURES.exchangeMs, connections);
    const seconds = (wish.messages * messageUs) / 1e6 + (wish.exchanges * exchangeMs) / 1e3;
    const cores = (seconds * wish.calibrate) / FIGURES.calibrate;
    const workers = Math.max(1, Math.ceil(cores / BUSY - 1e-9));
    const clients = (wish.tcp * FIGURES.tcpKib + wish.webSocket * FIGURES.webSocketKib) / 1024;
    const quietMib = startMib(workers) + clients;
    const keyCacheMib = Math.max(10, Math.ceil(((connections / workers) * 900) / MIB));
    // A machine has twice the memory of the next smaller one; a fifth of it is the system's.
    let machineGib = 1;
    const budget = () => Math.min(1024, Math.max(160, machineGib * 256));
    const worst = () => quietMib + strangersMib(connections, workers, budget(), keyCacheMib);
    while (worst() > machineGib * 1024 * 0.8) machineGib *= 2;
    // The kernel spreads connections well, not evenly; a sixteenth is for the gateway itself.
    const files = Math.ceil(((connections / workers) * 1.25 + 64) * (16 / 15));
    return {
        messageUs,
        cores,
        workers,
        quietMib: Math.ceil(quietMib),
        worstMib: Math.ceil(worst()),
        machineGib,
        budgetMib: budget(),
        files: Math.max(1024, Math.ceil(files / 1024) * 1024),
        keyCacheMib,
    };
}

/** Return the rows that the page shows. */
function rows(wish) {
    const need = sizing(wish);
    const workers = need.workers === 1 ? "1, the default" : `${need.workers}`;
    return [
        ["CPU of a message and its answer", `${need.messageUs.toFixed(1)} µs`],
        ["processors that are busy", need.cores.toFixed(2)],
        ["processors to plan with", `${need.workers}`],
        ["memory, idle", `${need.quietMib.toLocaleString("en")} MiB`],
        ["memory that strangers can make of it", `${need.worstMib.toLocaleString("en")} MiB`],
        ["memory of the machine, or MemoryMax", `${need.machineGib} GiB`],
        ["Workers", workers],
        ["LimitNOFILE", `${need.files}, of each worker`],
        ["Gnetway.Limits.MemoryBudget", `${need.budgetMib} MiB, as by default there`],
        ["Gnetway.AuthKeyCacheM", `${need.keyCacheMib}`],
    ];
}

/** What the page asks for: name, label, and the value at first. */
const FIELDS = [
    ["tcp", "TCP connections", 20000],
    ["webSocket", "WebSocket connections", 0],
    ["messages", "messages a second, each with its answer", 2000],
    ["bytes", "bytes of each", 512],
    ["exchanges", "new auth keys a second", 10],
    ["calls", "session service", ["stream", "unary"]],
    ["calibrate", "loadgen calibrate, there", FIGURES.calibrate],
];

/** Return an element with attributes and children. */
function element(name, attributes, ...children) {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...children);
    return made;
}

function field([name, label, value]) {
    const control = Array.isArray(value)
        ? element("select", { name }, ...value.map((text) => element("option", {}, text)))
        : element("input", { name, value, type: "number", min: 0, step: "any" });
    return element("label", {}, label, control);
}

/** Put the form into the page; it answers whenever something is typed. */
function fill(place) {
    const answer = element("tbody");
    const table = element("table", {}, element("thead"), answer);
    const form = element("form", {}, ...FIELDS.map(field), table);
    const head = table.tHead.insertRow();
    for (const text of ["what", "how much"]) head.append(element("th", {}, text));
    const show = () => {
        const given = Object.fromEntries(new FormData(form));
        const wish = { calls: given.calls };
        for (const [name] of FIELDS) {
            if (name !== "calls") wish[name] = Math.max(0, Number(given[name]) || 0);
        }
        wish.calibrate ||= FIGURES.calibrate;
        answer.replaceChildren();
        for (const cells of rows(wish)) {
            const row = answer.insertRow();
            for (const cell of cells) row.insertCell().textContent = cell;
        }
    };
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    place.append(form);
    show();
}

if (typeof module === "object") module.exports = { FIELDS, FIGURES, sizing, rows };
else fill(document.getElementById("calculator"));
