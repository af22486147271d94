// The list of connections on the status page: by pages, and what can be done to one of them.

import { $, TokenWanted, ask, clock, facts, formatted, make, number, table } from "./parts.js";

const PAGE_ROWS = 50;
/** Rows that can be reached by pages; the API says the same. */
const MAX_ROWS = 10_000;

const list = { offset: 0, asked: 0 };

/** Fill the choices that the schema of the API has, and show the first page. */
export async function prepareList() {
    try {
        const { $defs } = await ask("api/schema");
        for (const name of ["stage", "phase", "who"]) {
            const choices = ($defs[name] ?? $defs.connection.properties[name]).enum;
            $(name).append(...choices.map((choice) => make("option", {}, choice)));
        }
    } catch {
        // Without them the list can be asked for all the same.
    }
    load(0);
}

/** List the failures of a kind. */
export function listKind({ who, phase, cause, application }) {
    const wanted = {
        ...{ state: "ended", sort: "stopped", order: "desc", who, phase, cause },
        ...{ client: application, address: "", transport: "", stage: "" },
    };
    for (const [name, value] of Object.entries(wanted)) $(name).value = value;
    load(0, "", true);
}

/** Ask for a page of the list, and show it below `said`; with `go` it is gone to. */
async function load(offset, said = "", go = false) {
    const turn = ++list.asked;
    const given = [...new FormData($("connections"))].filter(([, value]) => value.trim());
    const query = new URLSearchParams([...given, ["limit", PAGE_ROWS], ["offset", offset]]);
    let answer;
    try {
        answer = await ask(`api/connections?${query}`);
    } catch (fault) {
        if (!(fault instanceof TokenWanted)) $("found").textContent = fault.message;
        return;
    }
    // Another has been asked for meanwhile.
    if (turn !== list.asked) return;
    list.offset = offset;
    const { matched, total, connections } = answer;
    const ends = [offset + 1, offset + connections.length, matched, total];
    const [first, last, all, kept] = ends.map((one) => number.format(one));
    const which = connections.length ? `${first} to ${last} of ${all}` : "none";
    $("found").textContent = `${said} At ${clock()}: ${which}; ${kept} in all.`.trim();
    $("before").disabled = !offset;
    $("next").disabled = offset + PAGE_ROWS >= matched || offset + 2 * PAGE_ROWS > MAX_ROWS;
    $("list").replaceChildren(connectionTable(connections));
    if (go) $("found").focus();
}

function connectionTable(connections) {
    const columns = {
        Address: opener,
        State: (one) => (one.state === "open" ? `open, ${one.phase}` : "ended"),
        Stage: (one) => one.stage,
        Transport: (one) => one.transport || "not known yet",
        Client: (one) => one.client?.text || "not said",
        Uptime: (one) => formatted("uptime_seconds", one.uptime_seconds),
        Messages: (one) =>
            `${number.format(one.messages_in)} in, ${number.format(one.messages_out)} out`,
        "Ended by": (one) => (one.cause ? `${one.who}: ${one.cause}` : "–"),
    };
    return connections.length ? table("Of this page", columns, connections, true) : "";
}

/** The button that shows all that is known of a connection, in a row below its own. */
function opener(one) {
    const id = `connection-${one.id}`;
    const click = ({ currentTarget: button }) => {
        const row = button.closest("tr");
        const opens = button.getAttribute("aria-expanded") === "false";
        button.setAttribute("aria-expanded", String(opens));
        if (opens) row.after(make("tr", { id, role: "row" }, details(one)));
        else row.nextElementSibling.remove();
    };
    const attributes = { type: "button", "aria-expanded": "false", "aria-controls": id, click };
    return make("button", attributes, one.address || one.id);
}

function details(one) {
    const { client, ...rest } = one;
    const cell = make("td", { role: "cell", colspan: "8" });
    cell.append(make("dl", { class: "facts" }, ...facts({ ...rest, ...client })));
    if (one.state === "open") {
        const deeds = { end: "End it now", drain: "Drain it" };
        const buttons = Object.entries(deeds).map(([deed, text]) =>
            make("button", { type: "button", click: () => act(one, deed) }, text),
        );
        cell.append(make("p", {}, buttons[0], " ", buttons[1]));
    }
    return cell;
}

const DEEDS = {
    end: ["End this connection?", "It is ended at once; what is under way is lost.", "is ended."],
    drain: [
        "Drain this connection?",
        "It is ended once it is silent for a second, or after half a minute.",
        "ends when it is silent.",
    ],
};

async function act(one, deed) {
    const [title, text, done] = DEEDS[deed];
    const which = [one.id, one.address, one.client?.text].filter(Boolean).join(", ");
    if (!(await sure(title, `${which}. ${text}`, title.split(" ")[0]))) return;
    let said = `Connection ${one.id} ${done}`;
    try {
        await ask(`api/connections/${encodeURIComponent(one.id)}/${deed}`, "POST");
    } catch (fault) {
        if (fault instanceof TokenWanted) return;
        said = fault.message;
    }
    load(list.offset, said, true);
}

/** Ask whether it is to be done. */
function sure(title, text, yes) {
    const texts = { "sure-title": title, "sure-text": text, "sure-yes": yes };
    for (const [id, one] of Object.entries(texts)) $(id).textContent = one;
    const dialog = $("sure");
    // Escape leaves what was answered before.
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
        $("sure-yes").onclick = () => dialog.close("yes");
        $("sure-no").onclick = () => dialog.close("");
        dialog.onclose = () => resolve(dialog.returnValue === "yes");
    });
}

$("connections").addEventListener("submit", (event) => {
    event.preventDefault();
    load(0);
});
// Once its fields are empty.
$("connections").addEventListener("reset", () => setTimeout(() => load(0)));
$("before").addEventListener("click", () => load(list.offset - PAGE_ROWS));
$("next").addEventListener("click", () => load(list.offset + PAGE_ROWS));
