/* A saved conversation: what is taken of one can be saved, and is the same when it is read again. */
#include "cli/chat_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tl_err write_again(const char *model, const json_t *messages, tl_buf *out)
{
    const json_t *one;
    size_t i;
    json_t *head = json_pack("{s:i, s:s}", "teale_chat", 1, "model", model);
    tl_err e = head ? tl_json_write(out, head) : TL_ERR_NOMEM;
    json_decref(head);
    json_array_foreach (messages, i, one) {
        e = e ? e : tl_buf_append_str(out, "\n");
        e = e ? e : tl_json_write(out, one);
    }
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char model[TL_MODEL_MAX], again[TL_MODEL_MAX];
    json_t *messages, *same;
    tl_why why = {""};
    tl_buf text = {0};
    if (tl_chat_file_parse("f", tl_slice_of(data, size), model, &messages, &why)) {
        if (!*why.text)
            abort();
        return 0;
    }
    if (!*model || !tl_chat_model_is(model) || json_array_size(messages) > TL_CHAT_MESSAGES_MAX)
        abort();
    if (write_again(model, messages, &text))
        abort();
    if (tl_chat_file_parse("f", tl_buf_slice(&text), again, &same, &why) ||
        strcmp(model, again) != 0 || !json_equal(messages, same))
        abort();
    json_decref(messages);
    json_decref(same);
    tl_buf_clear(&text);
    return 0;
}
