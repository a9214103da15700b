/* test_creds.h — where Debian's golang-google-grpc-dev puts the test certificates that the public
 * interop descriptions name: ca.pem, server1.pem and server1.key, for *.test.google.fr. */
#ifndef INTEROP_TEST_CREDS_H
#define INTEROP_TEST_CREDS_H

#define TEST_CREDS "/usr/share/gocode/src/google.golang.org/grpc/testdata/"

#endif
