/* example.c — Novel Engine from C in one page: lists who can take part, runs a simulation, prints
 * its story.
 *
 *   novel-example [HOST:PORT]
 *   cc example.c -lnovel_client -lnovel_contract -lnovel_messages -lnrpc ... (see
 * clients/CMakeLists.txt) */
#include <stdio.h>
#include <novelengine/v1/novel_engine.nrpc.h>

#include "clients/c/novel_client.h"

static int failed(const char *what, nrpc_status *st)
{
    fprintf(stderr, "%s: %s: %s\n", what, nrpc_code_name(st->code),
            st->message != NULL ? st->message : "");
    nrpc_status_clear(st);
    return 1;
}

static int list_characters(nrpc_client *client)
{
    const Novelengine__V1__ListCharactersRequest request =
        NOVELENGINE__V1__LIST_CHARACTERS_REQUEST__INIT;
    const Novelengine__V1__ListCharactersResponse *list;
    nrpc_msg *message;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_client_options options = { .options.timeout_ms = 10000 };
    if (novelengine_v1_novel_engine_list_characters(client, &options, &request, &message, &list,
                                                    &st) != NRPC_OK)
        return failed("characters", &st);
    printf("Characters:");
    for (size_t i = 0; i < list->n_characters; i++)
        printf(" %s", list->characters[i]);
    printf("\n");
    nrpc_msg_free(message); /* the list lives in it */
    nrpc_status_clear(&st); /* OK may carry a message too */
    return 0;
}

static bool on_update(void *ctx, const Novelengine__V1__SimulationUpdate *u)
{
    (void) ctx;
    if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT)
        printf("%3d %%  %s\n", u->progress_percent, u->event->text);
    else if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT)
        printf("\n%s\n", u->result->story);
    return true;
}

static int simulate(nrpc_client *client)
{
    char *cast[] = { "pilot", "scientist" };
    Google__Protobuf__Int32Value turns = GOOGLE__PROTOBUF__INT32_VALUE__INIT;
    Novelengine__V1__SimulationRequest request = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    turns.value = 4;
    request.character_names = cast;
    request.n_character_names = 2;
    request.turns = &turns;
    request.setting = "a lighthouse on a dead moon";
    struct novel_follow follow = { .on_update = on_update, .patience_ms = 30000 };
    nrpc_status st = NRPC_STATUS_INIT;
    if (novel_follow_start(client, &follow, &request, NULL, &st) != NRPC_OK)
        return failed("simulation", &st);
    nrpc_status_clear(&st);
    printf("That was %s.\n", follow.simulation_id);
    return 0;
}

int main(int argc, char **argv)
{
    nrpc_client *client;
    int error = novel_client_open(argc > 1 ? argv[1] : NULL, "novel-example/1", &client);
    if (error < 0) {
        fprintf(stderr, "cannot start: %s\n", nrpc_strerror(error));
        return 1;
    }
    int result = list_characters(client);
    if (result == 0)
        result = simulate(client);
    nrpc_client_free(client);
    return result;
}
