#include "cli/commands.h"

#include "cli/nodefind.h"

#define TIMEOUT                                                                                    \
    {                                                                                              \
        "timeout", 0, "TIME", "give up after so long, such as 30s (exit code 6)"                   \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, NULL, NULL                                                                        \
    }

static const tl_option only_timeout[] = {TIMEOUT, END};

static const tl_option invite_options[] = {
    {"role", 0, "ROLE", "what the new member may do: consumer (the default), provider or admin"},
    {"expires", 0, "TIME",
     "how long the invite can be used, such as 24h (the default); at most 30d"},
    {"valid", 0, "TIME",
     "how long the member's certificate is valid, such as 90d; by default it never ends, but for "
     "the end of this admin's own where the CA key is elsewhere"},
    {"for", 0, "PEER", "only this node may use it: its alias, name or ID"},
    {"qr", 0, NULL, "draw it as a QR code, too, on standard error"},
    {"png", 0, "FILE", "write the QR code into a new picture"},
    TIMEOUT,
    END,
};

static const tl_option create_options[] = {
    {"again", 0, NULL, "also where a network is called so already"}, TIMEOUT, END};

static const tl_option join_options[] = {
    {"as", 0, "NAME", "call the network so on this machine"},
    {"image", 0, "FILE", "read the invite from a PNG or JPEG picture of its QR code"},
    TIMEOUT,
    END,
};

static const tl_option members_options[] = {{"long", 'l', NULL, "whole node IDs"}, TIMEOUT, END};

static const tl_option revoke_options[] = {
    {"invite", 0, "NONCE", "withdraw this invite instead of a member"},
    {"keep-members", 0, NULL,
     "PEER is an admin: keep the members that it admitted or renewed; this node signs for them"},
    {"yes", 'y', NULL, "do not ask first, where members go out with the node"},
    TIMEOUT,
    END,
};

static const tl_option renew_options[] = {
    {"valid", 0, "TIME", "how long the new certificate is valid; else as long as the old one"},
    TIMEOUT,
    END,
};

static const tl_option leave_options[] = {
    {"delete", 0, NULL,
     "also where this node holds the CA key: nobody can admit members then, "
     "unless the key was exported"},
    TIMEOUT,
    END,
};

static const tl_option key_options[] = {
    {"new", 0, NULL, "make a new key; the old one is refused from now on"}, TIMEOUT, END};

static const tl_option seal_options[] = {
    {"passphrase-file", 0, "FILE",
     "the passphrase is this file's first line; else the terminal asks"},
    TIMEOUT,
    END,
};

static const tl_option history_options[] = {
    {"since", 0, "SINCE", "only what came after: a time ago such as 24h, or 2026-01-31T18:00:00Z"},
    {"peer", 0, "PEER", "only what this node bought or sold"},
    {"ptn", 0, "NET", "only what was asked in this network"},
    {"csv", 0, NULL, "as comma-separated values"},
    TIMEOUT,
    END,
};

static const tl_option pause_options[] = {
    {"for", 0, "TIME", "only so long, such as 2h; else until teale resume"},
    {"now", 0, NULL, "also end what runs for others"},
    TIMEOUT,
    END,
};

#define NET_WORDS "NET is the network's name here, its ID, or at least 8 of the ID's first digits."

const tl_command tl_commands_of_networks[] = {
    {"ptn create", "NAME", 1, 1, "make a private network; this node is its admin",
     "Where a network is called NAME already, another one is made only with --again.",
     create_options, true, false, tl_cmd_ptn_create},
    {"ptn invite", "NET", 1, 1, "make an invite, which admits one node once",
     NET_WORDS "\nPrints the code alone on standard output.", invite_options, true, false,
     tl_cmd_ptn_invite},
    {"ptn join", "[CODE]", 0, 1, "join a network by an invite; the same as teale join", "",
     join_options, true, false, tl_cmd_join},
    {"ptn list", "", 0, 0, "the private networks of this node", "", only_timeout, true, false,
     tl_cmd_ptn_list},
    {"ptn show", "NET", 1, 1, "all that is known of a network", NET_WORDS, only_timeout, true,
     false, tl_cmd_ptn_show},
    {"ptn rename", "NET NAME", 2, 2, "call a network by another name on this machine", NET_WORDS,
     only_timeout, true, false, tl_cmd_ptn_rename},
    {"ptn members", "NET", 1, 1, "who is in it: at an admin all, elsewhere those met", NET_WORDS,
     members_options, true, false, tl_cmd_ptn_members},
    {"ptn invites", "NET", 1, 1, "the invites made here, and what became of them", NET_WORDS,
     only_timeout, true, false, tl_cmd_ptn_invites},
    {"ptn revoke", "NET [PEER]", 1, 2, "shut a member out for good, or withdraw an invite",
     NET_WORDS
     "\n" TL_NODEFIND_PEER
     "\nA revoked node is out within seconds at every member that is reachable, and a new invite\n"
     "does not let it in again. Where it is an admin, the members that it admitted or renewed go\n"
     "out, too: they are listed, and a person at a terminal is asked first. Keep them with\n"
     "--keep-members, unless it may have admitted nodes that nobody knows. Who holds the CA key\n"
     "cannot be shut out: where that key may be in wrong hands, make a new network.",
     revoke_options, true, false, tl_cmd_ptn_revoke},
    {"ptn promote-admin", "NET PEER", 2, 2, "make a member an admin (where the CA key is)",
     NET_WORDS "\n" TL_NODEFIND_PEER, only_timeout, true, false, tl_cmd_ptn_promote},
    {"ptn renew", "NET [PEER]", 1, 2, "renew a certificate; without PEER this node's own",
     NET_WORDS
     "\nA certificate is renewed by itself when a third of its time is left and an admin is\n"
     "reachable.",
     renew_options, true, false, tl_cmd_ptn_renew},
    {"ptn leave", "NET", 1, 1, "leave a network", NET_WORDS, leave_options, true, false,
     tl_cmd_ptn_leave},
    {"ptn price", "NET [MICRO]", 1, 2, "what the members pay each other, or set it (admins)",
     NET_WORDS "\nMICRO is in micro-credits for 1000 tokens, prompt and answer alike.",
     only_timeout, true, false, tl_cmd_ptn_price},
    {"ptn key", "NET", 1, 1, "print the API key that scopes every request to this network",
     NET_WORDS, key_options, true, false, tl_cmd_ptn_key},
    {"ptn hide", "[on|off]", 0, 1, "hide from the relay who is in your networks",
     "Shows or changes the setting ptn.hide.", (const tl_option[]){END}, true, false,
     tl_cmd_ptn_hide},
    {"ptn export-ca-key", "NET FILE", 2, 2, "write the network's CA key into a new, sealed file",
     NET_WORDS, seal_options, true, false, tl_cmd_ptn_export},
    {"ptn import-ca-key", "FILE", 1, 1, "take over a network's CA key from such a file", "",
     seal_options, true, false, tl_cmd_ptn_import},
    {"join", "[CODE]", 0, 1, "join a private network by an invite, or by a picture of one",
     "CODE is what `teale ptn invite` printed; \"-\" reads it from standard input. While the "
     "inviter\n"
     "is away, the node goes on trying; Ctrl-C and --timeout leave it to the node.",
     join_options, true, false, tl_cmd_join},
    {"wallet", "", 0, 0, "what this node earned and spent, and who owes whom", "", only_timeout,
     true, false, tl_cmd_wallet},
    {"wallet history", "", 0, 0, "every question that was bought or sold, the oldest first", "",
     history_options, true, false, tl_cmd_wallet_history},
    {"wallet audit", "", 0, 0, "prove every sum and every signature of the ledger",
     "Exits with 1 and names the first that is wrong.", only_timeout, true, false,
     tl_cmd_wallet_audit},
    {"wallet settle", "PEER AMOUNT", 2, 2, "record that a debt was paid",
     TL_NODEFIND_PEER
     "\n"
     "AMOUNT is in micro-credits. Run by the side that is owed, it says \"they paid us\", and "
     "counts\n"
     "when the peer's node has signed; run by the other side, it is a proposal.",
     only_timeout, true, false, tl_cmd_wallet_settle},
    {"pause", "", 0, 0, "serve nobody else until resumed; your own questions go on", "",
     pause_options, true, false, tl_cmd_pause},
    {"resume", "", 0, 0, "serve others again", "", only_timeout, true, false, tl_cmd_resume},
};

const size_t tl_commands_of_networks_n =
    sizeof tl_commands_of_networks / sizeof *tl_commands_of_networks;
