#include "node/hardware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const intel = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n"
                                 "model name\t: Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz\n\n"
                                 "processor\t: 1\nvendor_id\t: GenuineIntel\n";
static const char *const arm = "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\n\n"
                               "Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n";
static const char *const nvidia = "Model: \t\t NVIDIA GeForce RTX 3090\nIRQ:   \t\t 139\n"
                                  "GPU UUID: \t GPU-00000000\n";

static tl_hardware parse(const char *meminfo, const char *cpuinfo, const char *information,
                         const char *vendor, const char *vram)
{
    static tl_sysinfo info;
    memset(&info, 0, sizeof info);
    snprintf(info.meminfo, sizeof info.meminfo, "%s", meminfo);
    snprintf(info.cpuinfo, sizeof info.cpuinfo, "%s", cpuinfo);
    info.n_gpus = 1;
    snprintf(info.gpus[0].information, sizeof info.gpus[0].information, "%s", information);
    snprintf(info.gpus[0].vendor, sizeof info.gpus[0].vendor, "%s", vendor);
    snprintf(info.gpus[0].vram, sizeof info.gpus[0].vram, "%s", vram);
    tl_hardware h;
    tl_hardware_parse(&info, &h);
    return h;
}

static void a_desktop_without_graphics_is_named_by_its_processor(void **state)
{
    (void)state;
    tl_hardware h =
        parse("MemTotal:       16316412 kB\nMemFree: 1 kB\n", intel, "", "0x8086\n", "");
    assert_string_equal(h.chip_family, "intelCPU");
    assert_string_equal(h.chip_name, "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz");
    assert_true(h.ram_gb > 15.55 && h.ram_gb < 15.65);
    assert_int_equal(h.tier, 2);
    assert_string_equal(h.gpu_backend, "");
}

static void an_arm_board_is_named_by_its_model_line(void **state)
{
    (void)state;
    tl_hardware h = parse("MemTotal:        3884360 kB\n", arm, "", "", "");
    assert_string_equal(h.chip_family, "armGeneric");
    assert_string_equal(h.chip_name, "Raspberry Pi 4 Model B Rev 1.4");
    assert_int_equal(h.tier, 4);
    h = parse("MemTotal:        4884360 kB\n", arm, "", "", "");
    assert_int_equal(h.tier, 3);
}

static void an_nvidia_card_names_the_machine(void **state)
{
    (void)state;
    tl_hardware h = parse("MemTotal: 4000000 kB\n", intel, nvidia, "", "");
    assert_string_equal(h.chip_family, "nvidiaGPU");
    assert_string_equal(h.chip_name, "NVIDIA GeForce RTX 3090");
    assert_string_equal(h.gpu_backend, "cuda");
    assert_int_equal(h.tier, 2);
}

static void an_amd_card_counts_by_its_memory_and_integrated_graphics_do_not(void **state)
{
    (void)state;
    tl_hardware h = parse("MemTotal: 4000000 kB\n", intel, "", "0x1002\n", "25753026560\n");
    assert_string_equal(h.chip_family, "amdGPU");
    assert_true(h.gpu_vram_gb > 23.9 && h.gpu_vram_gb < 24.1);
    assert_int_equal(h.tier, 1);
    h = parse("MemTotal: 4000000 kB\n", intel, "", "0x1002\n", "536870912\n");
    assert_string_equal(h.chip_family, "intelCPU");
}

static void what_cannot_be_read_is_unknown(void **state)
{
    (void)state;
    tl_hardware h = parse("", "", "", "", "");
    assert_string_equal(h.chip_family, "unknown");
    assert_string_equal(h.chip_name, "");
    assert_true(h.ram_gb == 0);
    assert_int_equal(h.tier, 4);
    h = parse("MemTotal", "vendor_id\nmodel name :", ":", "0x1002", "x");
    assert_string_equal(h.chip_family, "nvidiaGPU"); /* a card is there, though it says nothing */
    assert_string_equal(h.chip_name, "");
}

static void capabilities_carry_the_fields_of_the_protocol(void **state)
{
    (void)state;
    tl_hardware h = parse("MemTotal: 8388608 kB\n", intel, "", "", "");
    const char *models[] = {"qwen3:8b", "bad\xff", "b"};
    tl_capabilities c = {&h, models, 3, true, 5};
    json_t *o = tl_capabilities_json(&c);
    tl_buf out = {0};
    assert_non_null(o);
    assert_int_equal(tl_json_write(&out, o), TL_OK);
    assert_int_equal(tl_buf_append(&out, tl_slice_of("", 1)), TL_OK);
    assert_string_equal(
        (const char *)tl_buf_begin(&out),
        "{\"hardware\":{\"chipFamily\":\"intelCPU\",\"chipName\":\"Intel(R) Core(TM) i7-8700 CPU @ "
        "3.20GHz\",\"totalRAMGB\":8.0,\"gpuCoreCount\":0,\"memoryBandwidthGBs\":0.0,\"tier\":2,"
        "\"platform\":\"linux\"},\"loadedModels\":[\"qwen3:8b\",\"b\"],\"maxModelSizeGB\":6.0,"
        "\"isAvailable\":true,\"ptnIDs\":[],\"maxConcurrentRequests\":5,"
        "\"relayFirst\":true}");
    tl_buf_clear(&out);
    json_decref(o);
}

static void a_pause_is_told_and_none_is_not(void **state)
{
    (void)state;
    tl_hardware h = parse("MemTotal: 8388608 kB\n", intel, "", "", "");
    for (int paused = 0; paused < 2; paused++) {
        tl_capabilities c = {.hardware = &h, .paused = paused};
        json_t *o = tl_capabilities_json(&c);
        assert_int_equal(json_object_get(o, "paused") != NULL, paused);
        assert_int_equal(tl_json_bool(o, "paused", false), paused);
        json_decref(o);
    }
}

static void capabilities_tell_the_networks_and_whether_only_their_members_may_ask(void **state)
{
    (void)state;
    tl_hardware h = parse("MemTotal: 8388608 kB\n", intel, "", "", "");
    json_t *ptns = json_pack("[s, s]", "aa", "bb");
    for (int members_only = 0; members_only < 2; members_only++) {
        tl_capabilities c = {.hardware = &h, .ptns = ptns, .members_only = members_only};
        json_t *o = tl_capabilities_json(&c);
        assert_true(json_equal(json_object_get(o, "ptnIDs"), ptns));
        assert_int_equal(tl_json_bool(o, "membersOnly", false), members_only);
        json_decref(o);
    }
    json_decref(ptns);
}

static void capabilities_tell_where_a_node_relays_and_nothing_where_it_does_not(void **state)
{
    (void)state;
    tl_hardware h = parse("MemTotal: 8388608 kB\n", intel, "", "", "");
    json_t *relay =
        json_pack("{s:[s], s:s, s:i}", "addresses", "198.51.100.7:4433", "for", "any", "free", 32);
    for (int relays = 0; relays < 2; relays++) {
        tl_capabilities c = {.hardware = &h, .relay = relays ? relay : NULL};
        json_t *o = tl_capabilities_json(&c);
        assert_int_equal(json_object_get(o, "relay") != NULL, relays);
        assert_true(!relays || json_equal(json_object_get(o, "relay"), relay));
        json_decref(o);
    }
    json_decref(relay);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *p = strchr(path + strlen(dir), '/'); p; p = strchr(p + 1, '/')) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_machine_is_read_from_its_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/teale-sysinfo-XXXXXX";
    assert_non_null(mkdtemp(dir));
    put(dir, "proc/meminfo", "MemTotal: 8388608 kB\n");
    put(dir, "proc/cpuinfo", intel);
    put(dir, "proc/driver/nvidia/gpus/0000:01:00.0/information", nvidia);
    put(dir, "sys/class/drm/card0/device/vendor", "0x1002\n");
    put(dir, "sys/class/drm/card0/device/mem_info_vram_total", "17179869184\n");
    static tl_sysinfo info;
    tl_sysinfo_read(dir, &info);
    assert_int_equal(info.n_gpus, 2);
    tl_hardware h;
    tl_hardware_parse(&info, &h);
    assert_string_equal(h.chip_family, "amdGPU"); /* 16 GiB beats an unknown amount */
    assert_int_equal(h.tier, 1);
    char command[600];
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    tl_sysinfo_read(dir, &info);
    assert_int_equal(info.n_gpus, 0);
    assert_string_equal(info.meminfo, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_desktop_without_graphics_is_named_by_its_processor),
        cmocka_unit_test(an_arm_board_is_named_by_its_model_line),
        cmocka_unit_test(an_nvidia_card_names_the_machine),
        cmocka_unit_test(an_amd_card_counts_by_its_memory_and_integrated_graphics_do_not),
        cmocka_unit_test(what_cannot_be_read_is_unknown),
        cmocka_unit_test(capabilities_carry_the_fields_of_the_protocol),
        cmocka_unit_test(a_pause_is_told_and_none_is_not),
        cmocka_unit_test(capabilities_tell_the_networks_and_whether_only_their_members_may_ask),
        cmocka_unit_test(capabilities_tell_where_a_node_relays_and_nothing_where_it_does_not),
        cmocka_unit_test(a_machine_is_read_from_its_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
