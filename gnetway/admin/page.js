// The status page: asks the gateway's JSON API every few seconds, and shows what it answers.

import { listKind, prepareList } from "./list.js";
import {
    $, Chart, TokenWanted, anything, ask, clock, facts, formatted, keepToken, make, number, show,
    table, worded,
} from "./parts.js";

const POLL_MS = 3_000;
/** Polls from one question about all connections to the next. */
const SLOW_EVERY = 5;

/** What a status may have besides, and what it is called here. */
const MORE = {
    processes: "Worker processes",
    nodes: "Session nodes",
    etcd: "etcd",
    listened: "Listeners by protocol",
    certificates: "Certificates",
    traffic: "Traffic since the start",
};

// -- charts ------------------------------------------------------------------------------------

/** How fast a count goes up, each second; nothing where it is not known, or has begun anew. */
const rate = (count) => (now, before) => {
    if (!before || !(count(now) >= count(before))) return undefined;
    return (count(now) - count(before)) / (now.seconds - before.seconds);
};
const total = (counts) => Object.values(counts).reduce((sum, one) => sum + one, 0);
const ms = (seconds) => (seconds === undefined ? undefined : seconds * 1000);

const slowest = ({ nodes }) => {
    const known = (nodes ?? []).map((node) => node.latency_ms).filter((one) => one !== undefined);
    return known.length ? Math.max(...known) : undefined;
};

const CHARTS = [
    [
        "Connections",
        "",
        { open: (now) => now.connections.open, sessions: (now) => now.gauges.sessions },
    ],
    [
        "Connections a second",
        "",
        {
            opened: rate((now) => now.connections.opened),
            closed: rate((now) => now.connections.opened - now.connections.open),
        },
    ],
    [
        "Messages a second",
        "",
        {
            received: rate((now) => now.traffic?.received_messages),
            sent: rate((now) => now.traffic?.sent_messages),
        },
    ],
    [
        "Traffic a second",
        "KiB",
        {
            received: rate((now) => now.traffic?.received_bytes / 1024),
            sent: rate((now) => now.traffic?.sent_bytes / 1024),
        },
    ],
    ["Auth keys a second", "", { made: rate((now) => now.keys_made) }],
    ["Ends and refusals a second", "", { "by all causes": rate((now) => total(now.ends)) }],
    // Where there are any.
    ["Pushes a second", "", { "of all outcomes": rate((now) => total(now.pushes) || undefined) }],
    ["Latency of session nodes", "ms", { "of the slowest, on average": slowest }],
    ["Event loop's delay", "ms", { longest: (now) => ms(now.gauges.loop_lag_seconds) }],
    ["Memory", "MiB", { resident: (now) => now.gauges.resident_bytes / 2 ** 20 || undefined }],
];

const charts = CHARTS.map((chart) => new Chart(chart));
$("charts").append(...charts.map(({ figure }) => figure));

// -- the token ---------------------------------------------------------------------------------

document.addEventListener("token-wanted", ({ detail: fault }) => {
    $("answers").hidden = true;
    if ($("token").hidden || fault) $("token-fault").textContent = fault;
    $("token").hidden = false;
    readiness("asked", "The gateway asks for a token", []);
    $("token-text").focus();
});

$("token").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = $("token-text").value.trim();
    $("token-text").value = "";
    if (!/^[\x21-\x7e]+$/.test(text)) {
        $("token-fault").textContent = "A token has letters, digits and signs, and no spaces.";
        return;
    }
    keepToken(text);
    $("token").hidden = true;
    poll();
});

// -- what is polled ----------------------------------------------------------------------------

function readiness(state, text, reasons) {
    document.title = `${text} – gnetway`;
    $("readiness").dataset.state = state;
    show("readiness", [text, reasons], () => [
        make("p", {}, text),
        ...(reasons.length ? [make("ul", {}, ...reasons.map((one) => make("li", {}, one)))] : []),
    ]);
}

const limits = new Map();

function showLimit(name, value, limit) {
    if (!limits.has(name)) {
        const id = `limit-${name}`;
        const meter = make("meter", { "aria-labelledby": id, min: "0" });
        const text = make("span");
        limits.set(name, { meter, text });
        $("limits").append(
            make("div", { class: "limit" }, make("span", { id }, worded(name)), meter, text),
        );
    }
    const { meter, text } = limits.get(name);
    Object.assign(meter, { max: limit, high: 0.9 * limit, value });
    const share = number.format((100 * value) / limit);
    text.textContent = `${formatted(name, value)} of ${formatted(name, limit)} (${share} %)`;
}

function showStatus(status) {
    $("answers").hidden = false;
    const { ready, unready, workers, gauges, version, core } = status;
    const { started_at, backend, listeners } = status;
    readiness(
        ready ? "ready" : "unready",
        ready ? "✓ ready: clients are served" : "✗ not ready",
        unready,
    );
    const served = workers.configured ? `${workers.ready} of ${workers.configured} serve` : "";
    const gateway = { version, core, started_at, backend, listeners, workers: served };
    show("gateway", gateway, facts);
    const all = levels(status);
    const bounded = Object.keys(all).filter((name) => all[`${name}_limit`]);
    for (const name of bounded) showLimit(name, all[name], all[`${name}_limit`]);
    const rest = Object.entries(all).filter(
        ([name]) => !bounded.includes(name.replace(/_limit$/, "")),
    );
    show("gauges", Object.fromEntries(rest), facts);
    showCounts(status);
    const sections = { ...status, processes: workers.processes };
    const there = Object.keys(MORE)
        .map((name) => [name, sections[name]])
        .filter(([, value]) => value && Object.keys(value).length);
    show("more", there, () =>
        there.map(([name, value]) =>
            make(
                "section",
                { "aria-labelledby": `${name}-title` },
                make("h2", { id: `${name}-title` }, MORE[name]),
                anything(MORE[name], value),
            ),
        ),
    );
}

/** All that there is now, by name; a bound has the name of what it bounds, with _limit. */
function levels({ connections, gauges, admission, budgets, key_cache }) {
    const all = { connections: connections.open, ...gauges, ...admission };
    delete all.refused;
    for (const [name, { used, limit }] of Object.entries(budgets ?? {})) {
        all[name] = used;
        all[`${name}_limit`] = limit;
    }
    for (const [name, value] of Object.entries(key_cache ?? {})) all[`key_cache_${name}`] = value;
    return all;
}

function showCounts({ admission, ends, ends_by_phase, pushes, refused_origins }) {
    const phases = {
        Cause: (one) => one.cause,
        "Ended by, in": (one) => `${one.who}, ${one.phase}`,
        Count: (one) => number.format(one.count),
    };
    show("counts", [admission?.refused, ends, ends_by_phase, pushes, refused_origins], () => [
        counted("Refused by admission, by cause", admission?.refused ?? {}),
        counted("Ends and failed requests, by cause", ends),
        ends_by_phase?.length ? table("Ends, by who and where", phases, ends_by_phase) : [],
        counted("Pushes, by what became of them", pushes),
        counted("Pages that were refused, by origin", refused_origins),
    ]);
}

/** A table of counts, the highest first; nothing without any. */
function counted(caption, counts, order = (one, other) => other[1] - one[1]) {
    const rows = Object.entries(counts).sort(order);
    if (!rows.length) return [];
    const columns = { Name: ([name]) => name, Count: ([, count]) => number.format(count) };
    return table(caption, columns, rows);
}

const KINDS = {
    by_stage: "Stage reached",
    by_transport: "Transport",
    by_application: "Application",
};

function showSummary(summary) {
    show("kinds", Object.keys(KINDS).map((name) => summary[name]), (kinds) =>
        Object.values(KINDS).map((caption, index) =>
            // In the order of the answer: stages in theirs, all else by number.
            counted(caption, kinds[index], () => 0),
        ),
    );
}

function showFailures({ failures }) {
    const columns = {
        Cause: (one) => one.cause,
        "Ended by, in": (one) => `${one.who}, ${one.phase}`,
        Client: (one) => one.application || "not said",
        Times: (one) => number.format(one.count),
        Last: (one) => formatted("last_at", one.last_at),
        From: (one) => formatted("", one.networks),
        "What to do": (one) => one.hint,
        List: (one) =>
            make(
                "button",
                { type: "button", "aria-label": `List ${one.cause}`, click: () => listKind(one) },
                "List",
            ),
    };
    show("failures", failures, () =>
        failures.length
            ? table("Of the connections that ended lately, by kind", columns, failures, true)
            : make("p", {}, "No failed connection is remembered."),
    );
}

function showReloads({ reloads }) {
    const caption = "The start, and reloads since, the newest first";
    show("reloads", reloads, () => anything(caption, reloads));
}

const known = { before: undefined, polls: 0, timer: 0, busy: false };

/** Ask what looks at all connections, which not everybody may. */
async function pollSlowly() {
    const asked = {
        kinds: ["api/summary", showSummary],
        failures: ["api/failures", showFailures],
        reloads: ["api/reloads", showReloads],
    };
    for (const [id, [path, showAnswer]] of Object.entries(asked)) {
        try {
            showAnswer(await ask(path));
        } catch (fault) {
            if (fault instanceof TokenWanted) throw fault;
            show(id, fault.message, () => make("p", { class: "fault" }, fault.message));
        }
    }
}

async function poll() {
    clearTimeout(known.timer);
    // One who comes back to the tab is told at once, see below.
    if (document.hidden || known.busy) return;
    known.busy = true;
    try {
        const now = { ...(await ask("api/status")), seconds: performance.now() / 1000 };
        showStatus(now);
        for (const chart of charts) chart.add(now, known.before);
        known.before = now;
        if (known.polls === 0) prepareList();
        if (known.polls++ % SLOW_EVERY === 0) await pollSlowly();
    } catch (fault) {
        if (fault instanceof TokenWanted) return;
        readiness("away", `✗ no answer at ${clock()}`, [fault.message]);
    } finally {
        known.busy = false;
    }
    known.timer = setTimeout(poll, POLL_MS);
}

document.addEventListener("visibilitychange", poll);
poll();
