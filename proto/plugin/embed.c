/* embed FILE NAME OUT.c OUT.h — writes FILE as the constant array NAME and NAME_size.  Build time only. */
#include <stdio.h>
#include <string.h>

static int fail(const char *what, const char *path)
{
    fprintf(stderr, "embed: cannot %s %s\n", what, path);
    return 1;
}

static int write_source(FILE *in, const char *name, const char *path)
{
    FILE *out = fopen(path, "w");
    if (out == NULL)
        return fail("write", path);
    fprintf(out, "#include <stddef.h>\nextern const unsigned char %s[];\nextern const size_t %s_size;\n"
                 "const unsigned char %s[] = {", name, name, name);
    size_t n = 0;
    for (int c; (c = getc(in)) != EOF; n++)
        fprintf(out, "%s%d,", n % 24 == 0 ? "\n" : "", c);
    fprintf(out, "%s\n};\nconst size_t %s_size = %zu;\n", n == 0 ? "0" : "", name, n);
    if (ferror(in) || fclose(out) != 0)
        return fail("write", path);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: embed FILE NAME OUT.c OUT.h\n");
        return 2;
    }
    FILE *in = fopen(argv[1], "rb");
    if (in == NULL)
        return fail("read", argv[1]);
    int r = write_source(in, argv[2], argv[3]);
    fclose(in);
    if (r != 0)
        return r;
    FILE *header = fopen(argv[4], "w");
    if (header == NULL)
        return fail("write", argv[4]);
    fprintf(header, "#include <stddef.h>\nextern const unsigned char %s[];\nextern const size_t %s_size;\n",
            argv[2], argv[2]);
    return fclose(header) == 0 ? 0 : fail("write", argv[4]);
}
