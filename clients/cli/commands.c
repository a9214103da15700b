/* The commands of novelctl, as a table: the parser and the help read it. */
#include "clients/cli/ctl.h"

#define F(id) FLAG_BIT(FLAG_##id)
#define TELLING_FLAGS (F(STYLE) | F(PERSPECTIVE) | F(FOCALISER) | F(WORDS))
#define REQUEST_FLAGS                                                                              \
    (F(TURNS) | F(SETTING) | F(SCENARIO) | F(SEED) | F(MOOD) | TELLING_FLAGS | F(KEY) | F(CAMPAIGN))

const struct command args_commands[] = {
    { "health", NULL, "", "Is the server there and well?",
      "Exit code 0 when it is healthy, 1 when it is degraded, 4 when nobody answers.", 0, 0, 0,
      cmd_health },
    { "info", NULL, "", "What runs there: version, parts, load", NULL, 0, 0, 0, cmd_info },
    { "characters", "", "", "Who can take part", "Same as 'characters list'.", F(FULL), 0, 0,
      cmd_characters_list },
    { "characters", "list", "", "Who can take part", NULL, F(FULL), 0, 0, cmd_characters_list },
    { "characters", "show", "ID", "All about one character", NULL, 0, 1, 1, cmd_characters_show },
    { "characters", "create", "FILE",
      "Add a character from a YAML or JSON file ('-': standard input)",
      "The file holds the fields of a character by their names in the contract: character_id, "
      "name,\n"
      "background_summary, skills, persona ... To start from an existing one:\n"
      "  novelctl --json characters show pilot > mine.json",
      F(SET), 1, 1, cmd_characters_create },
    { "characters", "update", "ID [FILE]", "Change fields of a character",
      "Only the fields in FILE (YAML or JSON) and those named by --set change:\n"
      "  novelctl characters update pilot --set current_status=resting --set persona.age=35\n"
      "With --etag the change is refused if somebody else changed the character since.",
      F(SET) | F(ETAG), 1, 2, cmd_characters_update },
    { "characters", "delete", "ID", "Remove a character",
      "A character that came with the server comes back with reset.", F(ETAG), 1, 1,
      cmd_characters_delete },
    { "characters", "reset", "ID", "Bring a shipped character back as it was", NULL, 0, 1, 1,
      cmd_characters_reset },
    { "campaigns", "", "", "Novels in chapters", "Same as 'campaigns list'.", 0, 0, 0,
      cmd_campaigns_list },
    { "campaigns", "list", "", "Novels in chapters", NULL, 0, 0, 0, cmd_campaigns_list },
    { "campaigns", "create", "NAME ID [ID...]", "Begin a novel and print its id",
      "Its chapters are simulations that share memory: what happened between the characters, who\n"
      "knows which secret, what they carry and what was left open goes on into the next one.\n"
      "  novelctl campaigns create 'Three Winters' pilot scientist engineer\n"
      "  novelctl simulate pilot scientist engineer --campaign campaign_...",
      F(DESCRIPTION), 2, ARGS_POSITIONAL_MAX, cmd_campaigns_create },
    { "campaigns", "show", "ID", "A novel and its chapters", NULL, 0, 1, 1, cmd_campaigns_show },
    { "campaigns", "update", "ID", "Change a novel's name or description", NULL,
      F(NAME) | F(DESCRIPTION), 1, 1, cmd_campaigns_update },
    { "campaigns", "delete", "ID", "Remove a novel",
      "One that has chapters goes with --force only, and then they go with it.", F(FORCE), 1, 1,
      cmd_campaigns_delete },
    { "campaigns", "manuscript", "ID", "Print all finished chapters as one book",
      "  novelctl campaigns manuscript ID --format epub -o novel.epub", F(FORMAT) | F(OUTPUT), 1, 1,
      cmd_campaigns_manuscript },
    { "simulate", NULL, "ID ID [ID...]", "Run a simulation, live, and print its story",
      "Two to six characters. The story goes to standard output, the progress to standard error:\n"
      "  novelctl simulate engineer pilot scientist --turns 6 --scenario 'a distress signal' > "
      "story.md\n"
      "If the connection is lost the simulation goes on, and so does novelctl once the server is "
      "back.",
      REQUEST_FLAGS | F(EVENTS) | F(PATIENCE), 0, ARGS_POSITIONAL_MAX, cmd_simulate },
    { "submit", NULL, "ID ID [ID...]", "Queue a simulation and print its id",
      "It runs even if nobody watches: novelctl watch ID follows it.", REQUEST_FLAGS, 0,
      ARGS_POSITIONAL_MAX, cmd_submit },
    { "watch", NULL, "ID", "Follow a simulation's events to its end",
      "Connects again by itself when the server goes away, behind the last event that arrived: "
      "none is\n"
      "lost and none is shown twice.",
      F(AFTER) | F(FULL) | F(PATIENCE), 1, 1, cmd_watch },
    { "direct", NULL, "[ID ID...]", "Direct a simulation live: pause, step, whisper, veto",
      "Starts one with these characters, or takes over another with --attach. It waits before its "
      "first\n"
      "turn; every line you type is an order (type help), every change is judged by the laws and "
      "kept\n"
      "in the log. From a file or a pipe, a line is read once the one before it was answered, and "
      "after\n"
      "step once the turns were played:\n"
      "  printf 'step 2\\nwhisper pilot secret_engineer\\nfinish\\n' | novelctl direct engineer "
      "pilot\n"
      "quit, Ctrl-D or a lost connection leave it waiting for what --on-detach says; finish lets it "
      "run on.",
      REQUEST_FLAGS | F(ATTACH) | F(ON_DETACH) | F(AFTER) | F(FULL), 0, ARGS_POSITIONAL_MAX,
      cmd_direct },
    { "fork", NULL, "ID", "What if? A new simulation that shares the past of one and differs after it",
      "  novelctl fork ID --at 4 --edit whisper:pilot:bait:believes --wait\n"
      "An edit is one of\n"
      "  whisper:WHO:FACT[:LEVEL]     now believes it (unknown, suspects, believes, disbelieves)\n"
      "  trait:WHO:TRAIT=VALUE        0 to 100\n"
      "  item:ITEM:TO                 goes to a place or to somebody\n"
      "  incident:NAME                strikes in the next turn\n"
      "  forbid:WHO:OPERATOR          never does that from here on; WHO may be 'anyone'\n"
      "  act:WHO:OPERATOR[:TARGET...] does that next\n"
      "  swap:OUT:IN                  another character from the beginning; only with --at 0\n"
      "The laws judge each of them; if one is forbidden there is no fork. 'novelctl direct' shows the names\n"
      "that an edit may use.",
      F(AT) | F(EDIT) | F(WAIT) | F(TURNS) | F(SEED) | F(KEY) | F(PATIENCE), 1, 1, cmd_fork },
    { "compare", NULL, "ID OTHER", "Where two simulations part, what differs, and because of what",
      "Side by side, the event that differs first and those after it; below one that an edit led to, the\n"
      "events on the way. With --full also what nobody sees: the same events, weighed otherwise.",
      F(FULL), 2, 2, cmd_compare },
    { "seek", NULL, "ID ID [ID...]", "Try many seeds, and show the stories you look for",
      "  novelctl seek pilot scientist --seeds 200 --most-different 5\n"
      "  novelctl seek pilot scientist --seeds 200 --where nobody-hurt --where ending=truth\n"
      "Seeds are --seed, --seed + 1, ... (from 1). A CONDITION is one of\n"
      "  ending=NAME       the story ends so: the name, or a part of it\n"
      "  nobody-hurt       nobody is hurt in it\n"
      "  has=OPERATOR      somebody does that\n"
      "  lacks=OPERATOR    nobody does that\n"
      "  knows=WHO:FACT    somebody comes to believe that\n"
      "How far two stories are apart is the share of steps that only one of them has. A step is two deeds\n"
      "that follow one another, each with who does it; the ending counts as one. The first two chosen are\n"
      "those furthest apart; each further one is that whose nearest neighbour among the chosen is furthest.\n"
      "Simulations that are not chosen are deleted again, unless --keep is given.",
      (REQUEST_FLAGS & ~F(KEY)) | F(SEEDS) | F(MOST_DIFFERENT) | F(WHERE) | F(KEEP), 2, ARGS_POSITIONAL_MAX,
      cmd_seek },
    { "list", NULL, "", "Simulations, newest first", NULL, F(LIMIT) | F(STATE), 0, 0, cmd_list },
    { "show", NULL, "ID", "State, request and result of a simulation", NULL, 0, 1, 1, cmd_show },
    { "story", NULL, "ID", "Print the story of a finished simulation",
      "On a terminal it is wrapped for reading; elsewhere it is Markdown, or what --format says.",
      F(FORMAT) | F(OUTPUT), 1, 1, cmd_story },
    { "tell", NULL, "ID", "Tell a finished simulation again, otherwise",
      "The same log, and it stays as it is: another side, style, perspective or length.\n"
      "  novelctl tell ID --focaliser engineer --perspective first_person\n"
      "  novelctl tell ID --style noir --words 1500 --format epub -o noir.epub\n"
      "Whoever tells it tells only what they saw, heard or learned. What is not named is told as a\n"
      "new story would be; one that was cancelled is told as far as it goes.",
      TELLING_FLAGS | F(FORMAT) | F(OUTPUT), 1, 1, cmd_tell },
    { "cancel", NULL, "ID", "Stop a simulation within a turn; its log stays", NULL, 0, 1, 1,
      cmd_cancel },
    { "delete", NULL, "ID", "Remove a simulation and its log", NULL, F(FORCE), 1, 1, cmd_delete },
    { "export", NULL, "ID", "Write a log that verifies offline",
      "  novelctl export ID > story.nvlog && novel-verify story.nvlog\n"
      "The file is binary: novelctl does not write it to a terminal.",
      F(OUTPUT), 1, 1, cmd_export },
    { "why", NULL, "ID EVENT", "Why an event happened, and what the story makes of it",
      "Its causes in words, what weighed most in the choice, the two next best acts, and the\n"
      "sentences that tell it, or why none does. --json shows the whole tree of causes.\n"
      "It names what the story may keep hidden.",
      0, 2, 2, cmd_why },
    { "why-not", NULL, "ID TURN CHARACTER OPERATOR [TARGET...]", "Why a character did not do something",
      "  novelctl why-not ID 2 pilot console engineer\n"
      "It was not possible, not known to be, forbidden, or worth less than what was done instead.",
      0, 4, 10, cmd_why_not },
    { "beliefs", NULL, "ID CHARACTER [TURN]", "What a character came to believe, from whom, and where they are wrong",
      "Up to the end of TURN; without it, of all that is stored.", 0, 2, 3, cmd_beliefs },
    { "verify", NULL, "ID", "Prove a stored log: chain, laws, and a run of it again",
      "Exit code 0 when it is sound, 1 when it is not. To prove a log without the server:\n"
      "  novelctl export ID -o story.nvlog && novel-verify story.nvlog",
      0, 1, 1, cmd_verify },
};
const size_t args_n_commands = sizeof args_commands / sizeof args_commands[0];
