//! What is known to go wrong when one dialect is said in another, and the test that holds each. A row whose test is
//! renamed or gone fails; a new pitfall is a row and a test.

use std::collections::BTreeMap;

use gatelet_tests::sdk::root;

/// What goes wrong, where the test of it is, and its name.
#[rustfmt::skip]
const PITFALLS: [(&str, &str, &str); 102] = [
    // Framing of streams.
    ("a character cut by the network", "core/wire/tests/splits.rs", "a_cut_at_any_byte_gives_the_same_events_also_inside_a_character"),
    ("events cut, joined, or ended by any kind of line end", "core/wire/tests/splits.rs", "line_ends_of_every_kind_give_the_same_events"),
    ("keep-alives and unknown events", "core/wire/tests/pitfalls_openai.rs", "keep_alives_unknown_events_and_padding_are_no_content"),
    ("no terminator, or no reason to stop", "core/wire/tests/pitfalls_openai.rs", "a_complete_answer_without_done_ends_well_and_a_cut_one_does_not"),
    ("an error inside a success", "core/wire/tests/pitfalls_openai.rs", "an_error_inside_a_200_stream_is_an_error_with_its_own_status"),
    ("binary frames cut or left over", "core/wire/tests/pitfalls_bedrock.rs", "bytes_that_are_left_at_the_end_of_a_stream_are_a_truncation"),
    ("a stream that is one growing list", "core/wire/tests/pitfalls_gemini.rs", "an_error_is_read_where_it_stands_in_a_list_whole_and_streamed"),
    ("ids and times that change from chunk to chunk", "core/wire/tests/pitfalls_openai.rs", "one_id_one_model_and_one_time_hold_for_the_whole_stream"),
    ("blank roles, missing deltas, null content", "core/wire/tests/pitfalls_openai.rs", "a_blank_role_a_missing_delta_and_null_content_are_no_errors"),
    ("random padding", "core/wire/tests/pitfalls_openai_responses.rs", "padding_and_unknown_events_never_reach_other_dialects"),
    // Usage and money.
    ("a usage chunk that nobody asked for", "core/wire/tests/pitfalls_openai.rs", "usage_is_written_only_when_asked_for_and_with_empty_choices"),
    ("chunks without choices", "core/wire/tests/pitfalls_openai.rs", "chunks_without_choices_are_skipped_and_their_usage_is_kept"),
    ("usage that is repeated or cumulative", "core/wire/tests/pitfalls_openai.rs", "usage_that_is_repeated_counts_once"),
    ("input with and without what was cached", "core/wire/tests/pitfalls_openai.rs", "each_token_is_counted_once_by_kind_and_adds_up_again"),
    ("counts of the cache that are said only once", "core/wire/tests/pitfalls_anthropic/streams.rs", "cumulative_usage_replaces_and_counts_said_only_at_the_start_are_kept"),
    ("cache writes of two lifetimes", "core/wire/tests/pitfalls_anthropic/streams.rs", "cache_writes_are_split_by_lifetime_and_what_is_not_split_lives_five_minutes"),
    ("reasoning outside of the output", "core/wire/tests/pitfalls_openai.rs", "reasoning_outside_of_the_output_is_added_and_inside_is_not"),
    ("prices in tiers", "core/src/registry/tests.rs", "a_tier_is_chosen_by_the_whole_prompt_and_holds_for_the_whole_request"),
    ("what the provider's own tools use", "core/wire/tests/pitfalls_openai_responses.rs", "searches_of_the_vendors_own_tools_are_counted"),
    ("a client that leaves before the usage", "tests/src/scenario/leaving.rs", "a_client_that_leaves_still_pays"),
    // Calls of tools, streamed.
    ("parallel calls that all carry index zero", "core/wire/tests/pitfalls_openai.rs", "parallel_calls_that_all_carry_index_zero_stay_apart"),
    ("an item's or a block's index taken for a call's", "core/wire/tests/pitfalls_openai_responses.rs", "an_output_index_is_no_index_of_a_call"),
    ("indexes and ids missing, blank, repeated, with gaps", "core/wire/tests/pitfalls_openai.rs", "missing_blank_repeated_and_gapped_indexes_and_ids_are_understood"),
    ("names late or repeated", "core/wire/tests/pitfalls_openai.rs", "late_and_repeated_names_give_one_start"),
    ("a part of the arguments that is valid JSON", "core/wire/tests/pitfalls_openai.rs", "a_call_is_over_only_when_nothing_can_follow"),
    ("a call without arguments", "core/wire/tests/pitfalls_openai.rs", "a_call_without_arguments_has_an_empty_object"),
    ("arguments as an object, encoded twice, run together", "core/wire/tests/pitfalls_openai.rs", "arguments_as_object_or_encoded_twice_become_one_string_and_several_objects_are_refused"),
    ("stop said though calls were made", "core/wire/tests/pitfalls_openai.rs", "stop_beside_calls_means_the_calls"),
    ("tools that ran at the provider", "core/wire/tests/pitfalls_openai_responses.rs", "what_the_vendors_own_tools_did_is_no_call_of_the_client_and_is_kept_for_replay"),
    // Calls of tools, in the history.
    ("a history of calls without tools", "core/wire/tests/pitfalls_bedrock.rs", "a_history_of_calls_without_tools_gets_tools_named_after_them"),
    ("parallel results as messages of their own", "core/wire/tests/pitfalls_anthropic/requests.rs", "results_of_parallel_calls_are_merged_into_one_turn_before_any_text"),
    ("words beside results", "core/wire/tests/pitfalls_gemini.rs", "all_results_of_a_turn_are_one_content_in_the_order_of_the_calls_with_their_names"),
    ("a call without its result", "core/wire/tests/pitfalls_anthropic/requests.rs", "a_call_without_its_result_directly_after_is_refused_with_its_place"),
    ("text before results, and with them", "core/wire/tests/pitfalls_bedrock.rs", "words_beside_results_go_into_a_turn_of_their_own_where_the_model_takes_none"),
    ("ids of calls of another provider", "core/wire/tests/pitfalls_bedrock.rs", "ids_of_calls_get_the_form_that_the_model_takes_always_the_same_and_never_twice"),
    ("a result that has an id and needs a name", "core/wire/tests/pitfalls_gemini.rs", "a_call_without_result_and_a_result_without_call_are_refused_with_their_place"),
    ("an id that must come back on the result", "core/wire/tests/pitfalls_gemini.rs", "an_id_that_the_vendor_gave_a_call_comes_back_with_its_result"),
    ("a result that is no object, or looks like a pointer", "core/wire/tests/pitfalls_gemini.rs", "a_result_that_is_no_object_or_looks_like_a_pointer_is_wrapped"),
    ("names of tools that are too long or odd", "core/wire/tests/pitfalls_openai_responses.rs", "names_of_tools_that_are_too_long_are_shortened_everywhere_and_restored"),
    ("tools without description or name", "core/wire/tests/odd_bodies.rs", "a_tool_without_a_name_is_refused_in_every_dialect"),
    ("a failed result that seems to have worked", "core/wire/tests/pitfalls_openai_responses.rs", "a_failed_result_stays_failed"),
    ("a tool's type in its parameters", "core/wire/tests/pitfalls_anthropic/requests.rs", "the_type_of_a_tool_never_gets_into_its_parameters"),
    ("choices of tools that a model does not take", "core/wire/tests/pitfalls_bedrock.rs", "a_tool_is_not_forced_on_models_that_take_no_force"),
    ("no tool chosen, and tools there", "core/wire/tests/pitfalls_bedrock.rs", "a_choice_of_no_tool_leaves_the_tools_out_unless_the_history_speaks_of_them"),
    // Reasoning.
    ("signatures lost on the way through chat", "core/wire/tests/pitfalls_openai.rs", "the_signature_of_a_thought_survives_a_round_trip_through_chat_byte_for_byte"),
    ("thinking on, and no thought in the last turn", "core/wire/tests/pitfalls_anthropic/requests.rs", "thinking_in_a_loop_of_tools_goes_on_only_with_its_thoughts"),
    ("unsigned thoughts of others", "core/wire/tests/pitfalls_anthropic/requests.rs", "unsigned_thoughts_are_left_out_and_a_message_of_nothing_else_with_them"),
    ("a block of nothing in a synthesised stream", "core/wire/tests/pitfalls_anthropic/streams.rs", "a_synthesised_stream_opens_no_block_without_content_and_counts_the_others_from_zero"),
    ("blocks in another order", "core/wire/tests/pitfalls_anthropic/requests.rs", "blocks_keep_their_order"),
    ("a missing signature on a call", "core/wire/tests/pitfalls_gemini.rs", "the_first_call_of_a_step_is_signed_with_the_word_for_unknown_where_nobody_knows_better"),
    ("a signature on an empty part", "core/wire/tests/pitfalls_gemini.rs", "a_signature_on_an_empty_text_is_kept_and_not_left_out_with_it"),
    ("reasoning that must come back", "core/wire/src/edit_tests.rs", "reasoning_is_dropped_or_filled_as_the_provider_wants"),
    ("items of reasoning without what came of them", "core/wire/tests/pitfalls_openai_responses.rs", "a_thought_that_nothing_came_of_and_one_of_another_provider_are_left_out_and_named"),
    ("a status on items of reasoning", "core/tests/platforms.rs", "azure_gets_items_of_reasoning_without_a_status_and_all_else_as_it_was"),
    ("a budget of thoughts above the cap or below the least", "core/wire/tests/pitfalls_anthropic/requests.rs", "a_budget_is_at_least_1024_and_below_a_cap_that_is_never_raised"),
    ("tags of thoughts cut by chunks", "core/wire/src/dialect/tags.rs", "think_tags_split_over_chunks_are_found_at_any_cut"),
    ("adaptive thinking that shows nothing", "core/wire/tests/pitfalls_anthropic/requests.rs", "adaptive_thinking_that_was_asked_for_by_effort_is_shown"),
    // Messages and content.
    ("a cap that is missing", "core/wire/tests/pitfalls_anthropic/requests.rs", "max_tokens_is_always_there_and_never_above_what_the_model_can"),
    ("empty text, blank stops and prefills", "core/wire/tests/pitfalls_anthropic/requests.rs", "empty_text_is_dropped_and_a_prefill_ends_without_space"),
    ("the system's words in the middle", "core/wire/tests/pitfalls_anthropic/requests.rs", "a_system_message_in_the_middle_stays_in_its_place"),
    ("nothing but the system's words", "core/wire/tests/pitfalls_gemini.rs", "a_request_of_nothing_but_system_or_media_gets_a_turn_with_text"),
    ("neighbours of one role", "core/wire/tests/pitfalls_anthropic/requests.rs", "neighbours_of_one_role_are_merged"),
    ("calls beside empty, null or missing content", "core/wire/tests/pitfalls_openai.rs", "an_assistant_that_only_calls_has_null_content"),
    ("media without a word", "core/wire/tests/pitfalls_bedrock.rs", "a_document_has_words_beside_it_and_a_name_that_is_taken"),
    ("an image by its address", "core/wire/tests/pitfalls_bedrock.rs", "an_image_by_url_is_refused_and_one_of_a_wrong_type_is_called_what_it_is"),
    ("odd data URIs", "core/wire/src/source.rs", "a_data_uri_with_parameters_capitals_line_breaks_or_the_url_alphabet_is_brought_to_one_form"),
    ("files with and without a prefix, and their names", "core/wire/tests/pitfalls_openai_responses.rs", "files_come_with_or_without_a_data_prefix_and_are_written_with_one"),
    ("lists of content for those who take text", "core/wire/src/edit_tests.rs", "a_list_of_text_is_flattened_and_one_with_an_image_is_not"),
    ("names of messages", "core/wire/src/edit_tests.rs", "names_of_messages_are_removed_for_providers_that_refuse_them"),
    ("nulls in messages", "core/wire/src/edit_tests.rs", "null_fields_of_messages_are_removed_but_for_content"),
    ("marks for the cache", "core/wire/tests/pitfalls_bedrock.rs", "cache_points_follow_what_they_mark_and_are_four_at_most_and_none_for_others"),
    ("temperatures out of range or refused", "core/wire/tests/pitfalls_anthropic/requests.rs", "temperature_is_clamped_stands_alone_and_is_left_out_where_it_is_refused"),
    ("two names for the cap", "core/wire/tests/pitfalls_openai_responses.rs", "the_cap_is_renamed_and_a_schema_for_the_answer_is_flat_here"),
    ("fields that a coding client says to its own vendor", "core/wire/tests/pitfalls_bedrock.rs", "what_a_coding_client_says_to_its_own_vendor_alone_is_left_out_and_named"),
    ("several answers", "core/wire/tests/pitfalls_bedrock.rs", "several_answers_are_refused_and_never_silently_one"),
    ("shapes of logprobs", "core/wire/tests/pitfalls_cohere.rs", "logprobs_of_single_tokens_are_mapped_and_of_longer_pieces_absent"),
    ("refusals", "core/wire/tests/pitfalls_openai_responses.rs", "a_refusal_stays_a_refusal_and_a_filtered_answer_says_why_it_is_short"),
    ("stop as text or list, and too many", "core/wire/tests/pitfalls_openai.rs", "stop_is_a_string_or_a_list_and_too_many_are_noted"),
    ("a prompt that is blocked", "core/wire/tests/pitfalls_gemini.rs", "a_blocked_prompt_and_a_candidate_without_content_are_refusals_and_no_crash"),
    // Schemas.
    ("references in schemas", "core/wire/tests/pitfalls_bedrock.rs", "references_in_schemas_are_written_out_for_models_that_do_not_follow_them"),
    ("keywords that a vendor's schemas do not know", "core/wire/tests/pitfalls_gemini.rs", "standard_schemas_go_as_they_are_and_are_narrowed_for_the_oldest_models"),
    ("constraints that are not enforced", "core/wire/tests/pitfalls_anthropic/schemas.rs", "a_schema_is_brought_to_what_is_enforced_and_the_rest_is_described"),
    ("an answer by a forced tool", "core/wire/tests/pitfalls_anthropic/schemas.rs", "an_answer_by_the_forced_tool_is_text_again_also_streamed_also_beside_real_tools"),
    ("a schema that is no object", "core/wire/tests/pitfalls_anthropic/schemas.rs", "a_schema_that_is_no_object_is_wrapped_and_unwrapped_again"),
    ("a schema beside tools", "core/wire/tests/pitfalls_gemini.rs", "a_schema_beside_tools_is_refused_where_the_model_takes_one_of_them"),
    ("a search beside functions", "core/wire/tests/pitfalls_openai_responses.rs", "the_vendors_own_tools_are_dropped_for_others_with_the_choice_that_would_dangle"),
    // Errors, retries, routing.
    ("a full context window in a dozen spellings", "core/wire/src/dialect/classify.rs", "the_dozen_spellings_of_a_full_context_window_are_known"),
    ("numbers in the words of an error", "core/wire/tests/pitfalls_anthropic/schemas.rs", "the_status_of_an_error_wins_over_its_words"),
    ("rare statuses", "core/wire/tests/pitfalls_openai.rs", "the_status_of_an_error_wins_over_its_words_and_529_stays_529"),
    ("hints when to come back", "core/tests/refusals.rs", "a_providers_hint_when_to_come_back_is_read_in_every_form_and_has_an_upper_bound"),
    ("status 200 with the body of an error", "core/wire/tests/pitfalls_openai.rs", "an_error_in_an_answer_of_status_200_is_seen"),
    ("falling back after the first content", "core/tests/chat.rs", "a_fault_before_the_first_content_moves_on_and_the_caller_sees_nothing_of_it"),
    ("deployments whose names say nothing", "core/src/policy/tests.rs", "a_deployment_is_what_its_base_model_says"),
    ("models with slashes and colons in signed paths", "core/wire/src/sigv4_tests.rs", "a_path_that_is_encoded_once_as_it_is_sent_is_encoded_twice_in_the_signature"),
    ("a model that repeats itself without end", "core/tests/platforms.rs", "a_model_that_repeats_itself_is_stopped_where_that_is_asked_for_and_chunks_without_text_are_no_repetition"),
    // Callers of the three richer dialects.
    ("a synthesised stream of blocks", "core/wire/tests/pitfalls_anthropic/streams.rs", "a_call_is_finished_by_its_stop_and_not_by_arguments_that_happen_to_be_valid"),
    ("a synthesised stream of items", "core/wire/tests/pitfalls_openai_responses.rs", "a_synthesised_stream_is_complete_numbered_and_every_item_has_an_id_and_an_end"),
    ("going on from an answer at a provider that keeps none", "tests/src/scenario/responses.rs", "what_is_kept_nowhere_is_refused_with_its_place"),
    ("tools that only one dialect has", "core/wire/tests/pitfalls_openai_responses.rs", "a_custom_tool_reaches_those_who_know_only_functions_as_one_of_a_single_text"),
    ("counting where nobody counts", "core/tests/operations.rs", "tokens_are_counted_by_who_can_or_estimated"),
    ("places of citations in bytes and characters", "core/wire/tests/pitfalls_openai_responses.rs", "places_of_citations_count_characters_of_the_text_that_they_stand_in"),
    ("sound that is held in memory", "core/tests/operations.rs", "sound_streams_through_and_only_the_models_name_is_another"),
];

#[test]
fn every_pitfall_has_a_test_that_is_there() {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (pitfall, path, name) in PITFALLS {
        let text = files.entry(path).or_insert_with(|| std::fs::read_to_string(root().join(path)).unwrap());
        let at = text.find(&format!("fn {name}("));
        assert!(at.is_some(), "{pitfall}: {path} has no `{name}`");
        // A test, or a scenario in its file's list: a helper of that name would hold nothing.
        let before = text.get(..at.unwrap_or_default()).unwrap_or_default();
        let is_test = before.rsplit("\n\n").next().is_some_and(|head| head.contains("#[test]"));
        let is_listed = text.matches(name).count() > 1;
        assert!(is_test || is_listed, "{pitfall}: `{name}` is no test");
    }
}

#[test]
fn no_pitfall_is_told_twice() {
    let told: std::collections::BTreeSet<&str> = PITFALLS.iter().map(|(pitfall, ..)| *pitfall).collect();
    assert_eq!(told.len(), PITFALLS.len());
}
