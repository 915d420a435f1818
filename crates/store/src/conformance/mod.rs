//! What every engine must do, as tests that [`conformance!`](crate::conformance) generates.
//!
//! An engine is given as a function `async fn() -> (Store, ClockControl, impl Any)`; the third part
//! is kept until the test ends, for instance a temporary directory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

pub mod blobs;
pub mod leases;
pub mod log;
pub mod queue;
pub mod records;

/// Generates a module of tests named `$name` for the engine that `$open` opens.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $open:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::conformance_cases! { $open,
                records: a_record_is_read_back_with_its_revision,
                records: a_stale_revision_is_refused_and_nothing_is_written,
                records: a_create_over_an_existing_record_is_refused,
                records: a_deleted_record_is_gone_and_can_be_made_again,
                records: a_scan_gives_the_prefix_in_order_and_pages,
                records: spaces_do_not_see_each_other,
                records: a_watch_tells_changes_of_its_prefix_in_order,
                records: a_slow_watcher_loses_its_channel,
                records: what_is_too_large_is_refused,
                records: of_parallel_creates_one_wins,
                records: parallel_increments_lose_nothing,
                queue: a_message_is_taken_once_and_gone_after_its_ack,
                queue: a_message_comes_back_when_its_lease_ends,
                queue: a_delayed_message_comes_when_it_is_due,
                queue: a_retried_message_comes_at_its_time_with_the_next_attempt,
                queue: a_replaced_message_begins_afresh_in_its_place,
                queue: an_extended_lease_holds_longer,
                queue: a_lost_lease_answers_so,
                queue: a_deduplication_id_is_remembered_for_its_window,
                queue: a_waiting_take_is_woken_by_a_put,
                queue: a_take_gives_up_after_its_wait,
                queue: the_depth_counts_due_delayed_and_leased,
                queue: a_long_queue_is_counted_in_pieces,
                queue: a_take_of_nothing_gives_nothing_at_once,
                queue: queues_do_not_share_messages,
                queue: queues_that_hold_messages_are_listed_and_say_when,
                log: entries_are_numbered_and_read_in_order,
                log: an_expected_tail_that_is_not_the_tail_is_refused,
                log: a_read_by_time_starts_at_the_first_entry_of_it,
                log: a_large_shard_reads_the_same_after_it_was_sealed,
                log: a_trim_removes_what_is_older,
                blobs: a_blob_is_named_by_its_digest_and_read_back,
                blobs: a_blob_that_is_not_there_says_so,
                blobs: a_deleted_blob_is_gone,
                leases: a_held_name_is_refused_until_it_is_released_or_ends,
                leases: the_fence_grows_with_every_owner,
                leases: a_call_is_answered_by_who_serves_the_subject,
                leases: a_closed_store_says_so,
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($open:expr, $($room:ident: $case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (store, control, _keep) = $open().await;
                $crate::conformance::$room::$case(store, control).await;
            }
        )*
    };
}
