/* What a log may be made to say falsely; one per law's sub-code and per field, at least. */
#include <string.h>

#include "server/tools/novel-verify.h"
#include "tests/unit/engine/verify_fixture.h"

static void swap_events(struct verify_event *e, unsigned a, unsigned b)
{
    struct verify_event kept = e[a];
    e[a] = e[b];
    e[b] = kept;
    e[a].sequence = a + 1;
    e[b].sequence = b + 1;
}

/* What a quiet turn becomes: another operator, without effects unless the row says so. */
static void become(struct verify_event *e, unsigned type, unsigned op)
{
    e->type = (uint8_t) type;
    e->op = (uint16_t) op;
}

static void put_delta(struct verify_event *e, unsigned cell, int before, int after)
{
    e->deltas[e->delta_count++] =
        (struct verify_delta){ (uint16_t) cell, (int16_t) before, (int16_t) after };
}

/* One line a mutation. */
/* clang-format off */
#define M(name) static void name(struct fixture *f, struct verify_event *e)
#define UNUSED  (void) f, (void) e

/* E001.1 */
M(no_cause) { UNUSED; e[E_BLACKOUT].cause_count = 0; }
M(cause_of_future) { UNUSED; e[E_TAKE].causes[0].sequence = 3; }
M(cause_zero) { UNUSED; e[E_TAKE].causes[0].sequence = 0; }
M(cause_wrong_writer) { UNUSED; e[E_GO].causes[1].sequence = 4; }
M(cause_cell_outside) { UNUSED; e[E_GO].causes[1].cell = 999; }
M(cause_cell_unread) { e[E_GO].causes[1] = (struct verify_cause){ 1, CAUSE_ENABLES, fixture_cell(f, F_STRESS, ANA, 0) }; }
M(cause_latest_missing) { UNUSED; e[E_GO].cause_count = 1; }
M(cause_no_motive) { UNUSED; e[E_TAKE].causes[0].kind = CAUSE_FORESHADOWS; }
M(cause_intervention) { UNUSED; e[E_WAIT_6].causes[0].kind = CAUSE_INTERVENTION; e[E_WAIT_6].causes[1] = (struct verify_cause){ 1, CAUSE_MOTIVATES, NONE_U16 }; e[E_WAIT_6].cause_count = 2; }
M(cause_reacts_elsewhere) { UNUSED; e[E_NOD].causes[0].sequence = 2; }
M(cause_reacts_missing) { UNUSED; e[E_NOD].causes[0].kind = CAUSE_MOTIVATES; }
M(cause_prevents_missing) { UNUSED; e[E_REJECTED].causes[0].kind = CAUSE_ENABLES; }
M(cause_kind) { UNUSED; e[E_TELL].causes[1].kind = CAUSE_ENABLES; }
M(cause_kind_of_world) { UNUSED; e[E_GO].causes[1].kind = CAUSE_INFORMS; }
M(cause_kind_of_reaction) { UNUSED; e[E_GO].causes[0].kind = CAUSE_REACTS; }
M(cause_no_cell) { UNUSED; e[E_TAKE].causes[1].cell = NONE_U16; }
M(cause_prevents_other) { e[E_REJECTED].causes[1] = (struct verify_cause){ 1, CAUSE_PREVENTS, fixture_cell(f, F_AT, BEN, 0) }; e[E_REJECTED].cause_count = 2; }
/* E001.2 */
M(arg_outside) { UNUSED; e[E_TAKE].args[1] = 9; }
M(arg_unbound) { UNUSED; e[E_TAKE].args[1] = NONE_U8; }
M(arg_missing) { UNUSED; e[E_TAKE].arg_count = 1; }
M(arg_not_actor) { UNUSED; e[E_WAIT_6].args[0] = ANA; }
M(actor_nobody) { UNUSED; e[E_WAIT_6].actor = 77; }
M(actor_of_incident) { UNUSED; e[E_BLACKOUT].actor = ANA; }
M(unknowable) { UNUSED; f->flue.data[F_OPEN * 32 + 7] = SEE_NEVER; }/* nobody learns that the way is open */
/* E001.3 */
M(delta_value) { UNUSED; e[E_TAKE].deltas[2].after = 41; }
M(delta_before) { UNUSED; e[E_TAKE].deltas[2].before = 49; }
M(delta_cell) { UNUSED; e[E_FORCE].deltas[1].cell = fixture_cell(f, F_STRESS, CAL, 0); }
M(delta_missing) { UNUSED; e[E_TAKE].delta_count = 2; }
M(delta_extra) { put_delta(&e[E_WAIT_3], fixture_cell(f, F_STRESS, BEN, 0), 20, 21); e[E_WAIT_3].tension_after = 21; }
M(delta_outside) { UNUSED; put_delta(&e[E_WAIT_3], 999, 0, 1); }
M(belief_missing) { UNUSED; e[E_TELL].belief_count = 0; }
M(belief_who) { UNUSED; e[E_TELL].beliefs[0].who = BEN; }
M(belief_level) { UNUSED; e[E_TELL].beliefs[0].after = 1; }
M(belief_before) { UNUSED; e[E_TELL].beliefs[0].before = 1; }
M(belief_source) { UNUSED; e[E_TELL].beliefs[0].source = 1; }
M(belief_informant) { UNUSED; e[E_TELL].beliefs[0].informant = NONE_U8; }
M(belief_extra) { UNUSED; e[E_SHOUT].beliefs[0] = (struct verify_belief){ BEN, 0, 0, 2, 2, ANA }; e[E_SHOUT].belief_count = 1; }
M(belief_outside) { UNUSED; e[E_TELL].beliefs[0].fact = 7; }
M(roll_value) { UNUSED; e[E_FORCE].roll = 36; }
M(roll_skill) { UNUSED; e[E_FORCE].skill = 51; }
M(roll_difficulty) { UNUSED; e[E_FORCE].difficulty = 39; }
M(roll_invented) { UNUSED; e[E_TAKE].roll = 5; }
M(outcome_better) { UNUSED; e[E_FORCE].outcome = OUTCOME_CRITICAL; e[E_FORCE].delta_count = 1; e[E_FORCE].tension_after = 20; }
M(outcome_worse) { UNUSED; e[E_FORCE].outcome = OUTCOME_PARTIAL; }
M(outcome_none) { UNUSED; e[E_TAKE].outcome = OUTCOME_NONE; }
M(operator_none) { UNUSED; e[E_WAIT_6].op = NONE_U16; }
M(operator_other) { UNUSED; e[E_THINK].op = O_WAIT; }
M(other_seed) { UNUSED; f->seed = 7; }
M(rejected_changes) { put_delta(&e[E_REJECTED], fixture_cell(f, F_STRESS, BEN, 0), 25, 26); e[E_REJECTED].tension_after = 26; }
M(effect_in_pack) { UNUSED; f->efct.data[2] = 2; }
/* E002 */
M(resource_negative) { UNUSED; become(&e[E_WAIT_3], EVENT_ACTION, O_DRAIN); put_delta(&e[E_WAIT_3], fixture_cell(f, F_STAMINA, BEN, 0), 50, -10); }
M(resource_clipped) { UNUSED; become(&e[E_WAIT_3], EVENT_ACTION, O_DRAIN); put_delta(&e[E_WAIT_3], fixture_cell(f, F_STAMINA, BEN, 0), 50, 0); }
M(initial_outside) { UNUSED; f->cells[fixture_cell(f, F_TRUST, CAL, BEN)] = 101; }
M(supply_condition) { UNUSED; f->cells[fixture_cell(f, F_STAMINA, BEN, 0)] = 10; become(&e[E_WAIT_3], EVENT_ACTION, O_DRAIN); }
M(item_in_two) { UNUSED; e[E_TAKE].op = O_JUGGLE; e[E_TAKE].cause_count = 1; e[E_TAKE].delta_count = 1; }
M(item_nowhere) { UNUSED; f->cells[fixture_cell(f, F_LIES, 0, 0)] = -1; }
/* E003 */
M(way_shut) { UNUSED; e[E_FORCE].delta_count = 1; e[E_FORCE].deltas[0] = e[E_FORCE].deltas[1]; }
M(where_false) { UNUSED; e[E_GO].args[2] = HALL; e[E_GO].delta_count = 0; }
M(actor_asleep) { UNUSED; f->cells[fixture_cell(f, F_AWAKE, BEN, 0)] = 0; }
M(body_condition) { UNUSED; f->cells[fixture_cell(f, F_AWAKE, ANA, 0)] = 0; }
M(nowhere) { become(&e[E_WAIT_7B], EVENT_ACTION, O_VANISH); put_delta(&e[E_WAIT_7B], fixture_cell(f, F_AT, BEN, 0), YARD, -1); }
M(too_long) { UNUSED; become(&e[E_WAIT_7B], EVENT_ACTION, O_MARCH); }
/* E004 */
M(banned) { UNUSED; become(&e[E_WAIT_7B], EVENT_ACTION, O_PRAY); }
M(canon) { become(&e[E_WAIT_7B], EVENT_ACTION, O_CROWN); put_delta(&e[E_WAIT_7B], fixture_cell(f, F_STANDING, BEN, 0), 50, 90); }
M(out_of_character) { UNUSED; e[E_WAIT_7B].terms[TERM_TRAIT] = -121; e[E_WAIT_7B].terms[TERM_NORM] = 149; e[E_WAIT_7B].utility = 28; }
M(reopened) { UNUSED; e[E_WAIT_7A].threads[0] = (struct verify_thread){ 0, 2, ANA }; e[E_WAIT_7A].thread_count = 1; }
M(reopened_anew) { UNUSED; e[E_WAIT_7A].threads[0] = (struct verify_thread){ 0, 1, ANA }; e[E_WAIT_7A].thread_count = 1; }
/* E005 */
M(defied) { UNUSED; e[E_DEFY].terms[TERM_GOAL] = 149; e[E_DEFY].utility = 149; }
M(betrayed) { UNUSED; e[E_BETRAY].terms[TERM_GOAL] = 299; e[E_BETRAY].utility = 169; }
M(thanks_for_nothing) { UNUSED; f->cells[fixture_cell(f, F_FAVOUR, ANA, BEN)] = 0; }
M(telling_unknown) { UNUSED; f->cells[fixture_cell(f, F_KNOWS, ANA, 0)] = 1; }
/* bytes and digests */
M(type_unknown) { UNUSED; e[E_WAIT_3].type = 13; }
M(type_zero) { UNUSED; e[E_WAIT_3].type = 0; }
M(type_forked) { UNUSED; e[E_WAIT_3].type = EVENT_FORKED; }
M(type_other) { UNUSED; e[E_WAIT_3].type = EVENT_ACTION; }
M(phase_unknown) { UNUSED; e[E_WAIT_3].phase = 6; }
M(code_unknown) { UNUSED; e[E_REJECTED].codes[0] = 0x34; }
M(cause_kind_unknown) { UNUSED; e[E_TAKE].causes[0].kind = 8; }
M(delta_null) { UNUSED; e[E_TAKE].deltas[2].after = 50; }
M(delta_order) { struct verify_delta d = e[E_TAKE].deltas[0]; UNUSED; e[E_TAKE].deltas[0] = e[E_TAKE].deltas[1]; e[E_TAKE].deltas[1] = d; }
M(belief_level_unknown) { UNUSED; e[E_TELL].beliefs[0].after = 4; }
M(thread_change_unknown) { UNUSED; e[E_THANK].threads[0].change = 4; }
M(format_two) { UNUSED; f->format = 2; }
M(seed_zero) { UNUSED; f->seed = 0; }
M(mood_unknown) { UNUSED; f->mood = 4; }
M(turns_none) { UNUSED; f->turns = 0; }
M(no_events) { UNUSED; f->count = 0; }
M(code_outside) { UNUSED; f->cond.data[3] = 0x7f; }
M(code_endless) { UNUSED; memset(f->code.data + 1, 0x04, f->code.size - 1); }
M(effect_fluent) { UNUSED; f->efct.data[0] = 99; }
M(named_missing) { UNUSED; f->strs.data[1] = 'A'; }
M(pack_digest) { UNUSED; f->pack_flip = 1; }
M(world_digest) { UNUSED; f->world_flip = 1; }
M(hash_0) { UNUSED; f->hash_0_flip = 1; }
M(head) { UNUSED; f->head_flip = 1; }
M(count) { UNUSED; f->count_add = 1; }
/* order, time, place */
M(sequence) { UNUSED; e[E_WAIT_6].sequence++; }
M(turn) { UNUSED; e[E_GO].turn = 2; }
M(phase) { UNUSED; e[E_GO].phase = 2; }
M(pass_back) { UNUSED; e[E_WAIT_6].pass = 5; e[E_WAIT_6].minute = 150; e[E_WAIT_6].phase = 4; }
M(pass_outside) { UNUSED; e[E_COMPLETED].pass = 8; }
M(first_missing) { UNUSED; fixture_remove(f, 0); }
M(turn_missing) { UNUSED; fixture_remove(f, E_WAIT_7B); }
M(turn_twice) { (void) f; e[E_WAIT_7B].actor = e[E_WAIT_7B].args[0] = ANA; e[E_WAIT_7B].minute += 5; }
M(incident_late) { UNUSED; swap_events(e, E_BLACKOUT, E_TAKE); }
M(reaction_alone) { UNUSED; swap_events(e, E_NOD, E_FORCE); e[E_FORCE].causes[0].sequence = 4; }
M(repair_missing) { UNUSED; fixture_remove(f, E_REPAIRED); }
M(turn_missing_of_others) { UNUSED; fixture_remove(f, E_CAL_7); }
M(silent_not_all) { UNUSED; e[E_GO].silent |= 1u << CAL; }
M(rejected_twice) { UNUSED; e[E_REPAIRED] = e[E_REJECTED]; e[E_REPAIRED].sequence++; }
M(started_by_world) { UNUSED; e[E_STARTED].actor = ACTOR_WORLD; }
M(incident_by_director) { UNUSED; e[E_BLACKOUT].actor = ACTOR_DIRECTOR; }
M(completed_early) { UNUSED; fixture_remove(f, E_WAIT_7A); fixture_remove(f, E_WAIT_7A); }
M(completed_turns) { UNUSED; e[E_COMPLETED].turns = 3; }
M(after_the_end) { UNUSED; e[EVENTS] = e[E_WAIT_7B]; e[EVENTS].sequence = EVENTS + 1; f->count++; }
M(minute) { UNUSED; e[E_GO].minute = 31; }
M(place) { UNUSED; e[E_GO].place = YARD; }
M(place_none) { UNUSED; e[E_GO].place = NONE_U8; }
M(witness_added) { UNUSED; e[E_TAKE].witnesses |= 1u << CAL; }
M(witness_lost) { UNUSED; e[E_GO].witnesses &= ~(1u << CAL); }
M(witness_unknown) { UNUSED; e[E_GO].witnesses |= 1u << 30; }
M(witness_radio) { UNUSED; f->cells[fixture_cell(f, F_COMM, BEN, 0)] = 1; }
/* tension, utility, verdict, threads */
M(tension_after) { UNUSED; e[E_FORCE].tension_after = 26; }
M(tension_before) { UNUSED; e[E_GO].tension_before = 24; }
M(tension_target) { UNUSED; e[E_GO].target = 101; }
M(tension_started) { UNUSED; e[E_STARTED].tension_before = 0; }
M(utility) { UNUSED; e[E_TAKE].utility = 108; }
M(term) { UNUSED; e[E_TAKE].terms[TERM_LUCK] = 8; }
M(goal_unknown) { UNUSED; e[E_TAKE].goal = 1; }
M(goal_term) { UNUSED; e[E_TAKE].terms[TERM_GOAL] = 101; e[E_TAKE].terms[TERM_LUCK] = 6; }
M(goal_dropped) { UNUSED; e[E_TAKE].goal = NONE_U8; e[E_TAKE].plan_step = 0; }
M(goal_step) { UNUSED; e[E_TAKE].plan_step = 2; }
M(goal_step_alone) { UNUSED; e[E_WAIT_3].plan_step = 1; }
M(goal_elsewhere) { UNUSED; e[E_WAIT_3].goal = 0; e[E_WAIT_3].plan_step = 1; }
M(goal_of_nobody) { UNUSED; e[E_BLACKOUT].goal = 0; }
M(alternative_better) { UNUSED; e[E_TAKE].alternatives[0].utility = 108; }
M(alternative_order) { UNUSED; e[E_TAKE].alternatives[1].utility = 51; }
M(alternative_op) { UNUSED; e[E_TAKE].alternatives[1].op = 400; }
M(alternative_args) { UNUSED; e[E_TAKE].alternatives[1].args[0] = BEN; }
M(alternative_same) { UNUSED; e[E_WAIT_3].alternatives[0] = (struct verify_choice){ O_WAIT, 1, { BEN }, -1 }; }
M(verdict) { UNUSED; e[E_TAKE].verdict = VERDICT_REPAIRED; }
M(verdict_rejected) { UNUSED; e[E_TAKE].verdict = VERDICT_REJECTED; }
M(verdict_hidden) { UNUSED; e[E_REPAIRED].verdict = VERDICT_VALID; e[E_REPAIRED].repair = 0; e[E_REPAIRED].code_count = 0; }
M(repair) { UNUSED; e[E_REPAIRED].repair = REPAIR_REBIND; }
M(repair_sibling) { UNUSED; e[E_REPAIRED].repair = REPAIR_SIBLING; }
M(rejected_code) { UNUSED; e[E_REJECTED].codes[0] = e[E_REPAIRED].codes[0] = 0x22; }
M(rejected_codes_none) { UNUSED; e[E_REJECTED].code_count = e[E_REPAIRED].code_count = 0; }
M(repaired_code) { UNUSED; e[E_REPAIRED].codes[0] = 0x22; }
M(reason) { e[E_REJECTED].reason = fixture_cell(f, F_AT, BEN, 0); }
M(valid_code) { UNUSED; e[E_TAKE].codes[0] = 0x31; e[E_TAKE].code_count = 1; }
M(thread_twice) { UNUSED; e[E_DEFY].threads[0] = (struct verify_thread){ 0, 1, ANA }; e[E_DEFY].thread_count = 1; }
M(thread_unopened) { UNUSED; e[E_THANK].threads[0].change = 2; }
/* clang-format on */

#define R(fn, code)                                                                                \
    {                                                                                              \
#fn, code, fn                                                                              \
    }
const struct verify_mutation verify_mutations[] = {
    R(no_cause, VERIFY_CAUSE),
    R(cause_of_future, VERIFY_CAUSE),
    R(cause_zero, VERIFY_CAUSE),
    R(cause_wrong_writer, VERIFY_CAUSE),
    R(cause_cell_outside, VERIFY_CAUSE),
    R(cause_cell_unread, VERIFY_CAUSE),
    R(cause_latest_missing, VERIFY_CAUSE),
    R(cause_no_motive, VERIFY_CAUSE),
    R(cause_intervention, VERIFY_CAUSE),
    R(cause_kind, VERIFY_CAUSE),
    R(cause_kind_of_world, VERIFY_CAUSE),
    R(cause_kind_of_reaction, VERIFY_CAUSE),
    R(cause_no_cell, VERIFY_CAUSE),
    R(cause_prevents_other, VERIFY_CAUSE),
    R(cause_reacts_elsewhere, VERIFY_CAUSE),
    R(cause_reacts_missing, VERIFY_CAUSE),
    R(cause_prevents_missing, VERIFY_CAUSE),
    R(arg_outside, VERIFY_UNKNOWABLE),
    R(arg_unbound, VERIFY_UNKNOWABLE),
    R(arg_missing, VERIFY_UNKNOWABLE),
    R(arg_not_actor, VERIFY_UNKNOWABLE),
    R(actor_nobody, VERIFY_UNKNOWABLE),
    R(actor_of_incident, VERIFY_UNKNOWABLE),
    R(unknowable, VERIFY_UNKNOWABLE),
    R(delta_value, VERIFY_EFFECT),
    R(delta_before, VERIFY_EFFECT),
    R(delta_cell, VERIFY_EFFECT),
    R(delta_missing, VERIFY_EFFECT),
    R(delta_extra, VERIFY_EFFECT),
    R(delta_outside, VERIFY_EFFECT),
    R(belief_missing, VERIFY_EFFECT),
    R(belief_who, VERIFY_EFFECT),
    R(belief_level, VERIFY_EFFECT),
    R(belief_before, VERIFY_EFFECT),
    R(belief_source, VERIFY_EFFECT),
    R(belief_informant, VERIFY_EFFECT),
    R(belief_extra, VERIFY_EFFECT),
    R(belief_outside, VERIFY_EFFECT),
    R(roll_value, VERIFY_EFFECT),
    R(roll_skill, VERIFY_EFFECT),
    R(roll_difficulty, VERIFY_EFFECT),
    R(roll_invented, VERIFY_EFFECT),
    R(outcome_better, VERIFY_EFFECT),
    R(outcome_worse, VERIFY_EFFECT),
    R(outcome_none, VERIFY_EFFECT),
    R(operator_none, VERIFY_EFFECT),
    R(operator_other, VERIFY_EFFECT),
    R(other_seed, VERIFY_EFFECT),
    R(rejected_changes, VERIFY_EFFECT),
    R(effect_in_pack, VERIFY_EFFECT),
    R(resource_negative, VERIFY_RANGE),
    R(resource_clipped, VERIFY_RANGE),
    R(initial_outside, VERIFY_RANGE),
    R(supply_condition, VERIFY_SUPPLY),
    R(item_in_two, VERIFY_ITEM),
    R(item_nowhere, VERIFY_ITEM),
    R(way_shut, VERIFY_WAY),
    R(where_false, VERIFY_WAY),
    R(actor_asleep, VERIFY_BODY),
    R(body_condition, VERIFY_BODY),
    R(nowhere, VERIFY_TWICE),
    R(too_long, VERIFY_TWICE),
    R(banned, VERIFY_BAN),
    R(canon, VERIFY_CANON),
    R(out_of_character, VERIFY_PERSONA),
    R(reopened, VERIFY_REOPENED),
    R(reopened_anew, VERIFY_REOPENED),
    R(defied, VERIFY_DEFIES),
    R(betrayed, VERIFY_BETRAYS),
    R(thanks_for_nothing, VERIFY_SPEECH),
    R(telling_unknown, VERIFY_SPEECH),
    R(type_unknown, VERIFY_FORMAT),
    R(type_zero, VERIFY_FORMAT),
    R(type_forked, VERIFY_FORMAT),
    R(type_other, VERIFY_FORMAT),
    R(phase_unknown, VERIFY_FORMAT),
    R(code_unknown, VERIFY_FORMAT),
    R(cause_kind_unknown, VERIFY_FORMAT),
    R(delta_null, VERIFY_FORMAT),
    R(delta_order, VERIFY_FORMAT),
    R(belief_level_unknown, VERIFY_FORMAT),
    R(thread_change_unknown, VERIFY_FORMAT),
    R(format_two, VERIFY_FORMAT),
    R(seed_zero, VERIFY_FORMAT),
    R(mood_unknown, VERIFY_FORMAT),
    R(turns_none, VERIFY_FORMAT),
    R(no_events, VERIFY_FORMAT),
    R(code_outside, VERIFY_FORMAT),
    R(code_endless, VERIFY_FORMAT),
    R(effect_fluent, VERIFY_FORMAT),
    R(named_missing, VERIFY_FORMAT),
    R(pack_digest, VERIFY_DIGEST),
    R(world_digest, VERIFY_DIGEST),
    R(hash_0, VERIFY_DIGEST),
    R(goal_unknown, VERIFY_GOAL),
    R(goal_term, VERIFY_GOAL),
    R(goal_dropped, VERIFY_GOAL),
    R(goal_step, VERIFY_GOAL),
    R(goal_step_alone, VERIFY_GOAL),
    R(goal_elsewhere, VERIFY_GOAL),
    R(goal_of_nobody, VERIFY_GOAL),
    R(head, VERIFY_CHAIN),
    R(count, VERIFY_CHAIN),
    R(sequence, VERIFY_ORDER),
    R(turn, VERIFY_ORDER),
    R(phase, VERIFY_ORDER),
    R(pass_back, VERIFY_ORDER),
    R(pass_outside, VERIFY_ORDER),
    R(first_missing, VERIFY_ORDER),
    R(turn_missing, VERIFY_ORDER),
    R(turn_twice, VERIFY_ORDER),
    R(incident_late, VERIFY_ORDER),
    R(reaction_alone, VERIFY_ORDER),
    R(repair_missing, VERIFY_ORDER),
    R(completed_early, VERIFY_ORDER),
    R(turn_missing_of_others, VERIFY_ORDER),
    R(silent_not_all, VERIFY_ORDER),
    R(rejected_twice, VERIFY_ORDER),
    R(started_by_world, VERIFY_ORDER),
    R(incident_by_director, VERIFY_ORDER),
    R(completed_turns, VERIFY_ORDER),
    R(after_the_end, VERIFY_ORDER),
    R(minute, VERIFY_TIME),
    R(place, VERIFY_PLACE),
    R(place_none, VERIFY_PLACE),
    R(witness_added, VERIFY_WITNESS),
    R(witness_lost, VERIFY_WITNESS),
    R(witness_unknown, VERIFY_WITNESS),
    R(witness_radio, VERIFY_WITNESS),
    R(tension_after, VERIFY_TENSION),
    R(tension_before, VERIFY_TENSION),
    R(tension_target, VERIFY_TENSION),
    R(tension_started, VERIFY_TENSION),
    R(utility, VERIFY_UTILITY),
    R(term, VERIFY_UTILITY),
    R(alternative_better, VERIFY_UTILITY),
    R(alternative_order, VERIFY_UTILITY),
    R(alternative_op, VERIFY_UTILITY),
    R(alternative_args, VERIFY_UTILITY),
    R(alternative_same, VERIFY_UTILITY),
    R(verdict, VERIFY_VERDICT),
    R(verdict_rejected, VERIFY_VERDICT),
    R(verdict_hidden, VERIFY_VERDICT),
    R(repair, VERIFY_VERDICT),
    R(repair_sibling, VERIFY_VERDICT),
    R(rejected_code, VERIFY_VERDICT),
    R(rejected_codes_none, VERIFY_VERDICT),
    R(repaired_code, VERIFY_VERDICT),
    R(reason, VERIFY_VERDICT),
    R(valid_code, VERIFY_VERDICT),
    R(thread_twice, VERIFY_THREAD),
    R(thread_unopened, VERIFY_THREAD),
};
const unsigned verify_mutations_count = sizeof(verify_mutations) / sizeof(verify_mutations[0]);
