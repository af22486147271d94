// The first real call of every client: help.getConfig, wrapped in who is calling.
// Source: core.telegram.org/api/invoking

import { concat } from "./bytes.js";
import { ID, Reader, int, string } from "./tl.js";

/** The version of the API whose objects this file can read. */
const LAYER = 214;

/** initConnection: a server without accounts needs no real application, any id will do. */
export function getConfig() {
    const texts = ["gnetway example", "a browser", "1.0", "en", "", "en"].map(string);
    const init = concat(int(ID.INIT_CONNECTION), int(0), int(1), ...texts);
    return concat(int(ID.INVOKE_WITH_LAYER), int(LAYER), init, int(ID.HELP_GET_CONFIG));
}

/** Read the beginning of a config: its time, the data centre, and where all of them are. */
export function readConfig(body) {
    const reader = new Reader(body);
    reader.expect(ID.CONFIG, "config");
    reader.int();
    const date = new Date(1000 * reader.int()).toISOString();
    reader.raw(8);
    const thisDc = reader.int();
    const options = reader.vector(() => {
        reader.expect(ID.DC_OPTION, "dcOption");
        const flags = reader.int();
        const dc = reader.int();
        const place = `${reader.string()}:${reader.int()}`;
        if (flags & 0x400) reader.bytes();
        return `dc ${dc} at ${place}`;
    });
    return { date, this_dc: thisDc, dc_options: options };
}
