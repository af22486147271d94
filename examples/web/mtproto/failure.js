// Why a client failed, for people to read.

/** `message` says what went wrong, `hint` what to look at. */
export class Failure extends Error {
    constructor(message, hint = "") {
        super(message);
        this.hint = hint;
    }
}

/** Throw unless `condition` holds. */
export function check(condition, message, hint) {
    if (!condition) throw new Failure(message, hint);
}

// Source: core.telegram.org/mtproto/mtproto-transports#transport-errors
const TRANSPORT_ERRORS = {
    404: [
        "refuses this step, or does not know the auth key",
        "In a key exchange: has the gateway the private half of the public key given here? The " +
            "gateway counts the exact cause; see docs/troubleshooting.md.",
    ],
    429: ["has too many connections or requests", "Wait, or look at Gnetway.Limits."],
    444: ["does not serve this data centre", "The gateway is strict about the dc."],
};

/** Make a Failure of the negative number that was the whole packet. */
export function transportFailure(code) {
    const [meaning, hint] = TRANSPORT_ERRORS[-code] ?? ["knows why", ""];
    return new Failure(`Transport error ${code}: the gateway ${meaning}.`, hint);
}

// Source: core.telegram.org/mtproto/service_messages_about_messages
const BAD_MESSAGES = {
    16: "msg_id too low: this machine's clock is behind the server's",
    17: "msg_id too high: this machine's clock is ahead of the server's",
    18: "msg_id is no multiple of 4",
    19: "a container's msg_id came before",
    20: "the message is too old",
    32: "seq_no too low",
    33: "seq_no too high",
    34: "seq_no must be even",
    35: "seq_no must be odd",
    64: "invalid container",
};

/** Make a Failure of a bad_msg_notification. */
export function badMessageFailure(code) {
    return new Failure(`bad_msg_notification ${code}: ${BAD_MESSAGES[code] ?? "unknown"}.`);
}
