/* What a client of a stream is told while its question waits: its place in a provider's queue; after a
 * longer time, what it waits for; in the middle of an answer, why no word comes. */
#include "api/state.h"

#include "ask/paths.h"
#include "base/json.h"

bool tl_api_queue_streams(const char *path)
{
    const tl_ask_path *p = tl_ask_path_find(tl_slice_str(path));
    return p && (p->group == TL_ASK_PATHS_CHAT || p->group == TL_ASK_PATHS_COMPLETIONS ||
                 p->group == TL_ASK_PATHS_RESPONSES);
}

void tl_api_queue_comment(tl_httpd_req *r, const tl_progress *p, tl_time waited,
                          const tl_node_id *peer)
{
    tl_buf text = {0};
    char hex[TL_NODE_ID_HEX + 1] = "";
    if (peer)
        tl_node_id_write(hex, peer);
    tl_err e = p->position ? tl_buf_printf(&text, ": queue position=%u wait_s=%u\n\n", p->position,
                                           p->wait_seconds)
                           : tl_buf_printf(&text, ": waiting for=%s seconds=%u%s%s\n\n",
                                           tl_progress_waits_for(p), (unsigned)(waited / TL_SEC),
                                           peer ? " peer=" : "", hex);
    if (!e)
        (void)tl_httpd_write(r, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

/* JSON of a server may have line ends, which would end the event. An error of its own has no name: "event: error" is
 * the node's word (strain.h). */
void tl_api_queue_answer(tl_httpd_req *r, int status, tl_slice body)
{
    json_t *root = NULL;
    tl_buf text = {0};
    bool is_json = !tl_json_parse(body, 32, &root, NULL),
         passes = is_json && (status < 300 || json_is_object(json_object_get(root, "error")));
    tl_err e = tl_buf_append_str(&text, passes ? "data: " : "event: error\ndata: ");
    if (!e && passes)
        e = tl_json_write(&text, root);
    else if (!e)
        e = tl_api_error_text(&text, status, "backend_error", NULL,
                              is_json ? "the model server refused the question, and did not say why"
                                      : "the model server's answer is no JSON");
    if (!e)
        e = tl_buf_append_str(&text, "\n\n");
    if (!e)
        (void)tl_httpd_write(r, tl_buf_slice(&text));
    json_decref(root);
    tl_buf_clear(&text);
}
