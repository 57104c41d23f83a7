/* main.c - the teale program. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return tl_cli_main(argc, argv);
}
