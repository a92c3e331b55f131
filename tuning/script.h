/* A subcommand that is a Python program: of the source tree that `weft` was built in, or installed beside it. */
#ifndef TUNING_SCRIPT_H
#define TUNING_SCRIPT_H

/* Becomes `python3 SCRIPT` with argv[1] and what follows. SCRIPT is a path such as "bench/run.py", below one of the
 * directories above the program or below their share/weft. Returns COMMAND_FAILED, having said why, when there is no
 * such file or no python3. NAME is what the user called, as in "weft bench". */
int script_run(const char *name, const char *script, int argc, char **argv);

#endif
