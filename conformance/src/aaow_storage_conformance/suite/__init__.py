"""The classes of tests, one module a subject. Import the classes from `aaow_storage_conformance`.

Which modules check the clauses of an area, by the number of their tests of it:

REC  documents, records, plain_values, resemblances, observability, amounts, endings, inputs, returns, numbers,
     budgets, errors, executions, paging, sessions, waiting
OPS  cancellation, races, store_wide, conditional_updates, operations, patches, atomicity, resemblances, updates,
     numbers, sequences, records, snapshots, operators, documents, endings, returns, observability, handles,
     differential, executions, side_effects, combinations, lifecycle, model, stream_order, session_status, budgets,
     concurrency, inputs, long_lists, plain_values, sessions, states, streams, workflows, recorded_changes
WFL  workflows, sequences, numbers, operations, races, side_effects, recorded_changes
SES  sessions, races, sequences, resemblances, inputs, model, snapshots, atomicity, numbers, observability, operations,
     side_effects, recorded_changes, session_status
STA  observability, states, session_status, store_wide, recorded_changes, numbers, returns, snapshots, documents,
     isolation, operations, races, resemblances, side_effects
LLM  inputs, executions, omissions, observability, store_wide, combinations, numbers, sequences, side_effects
TOO  observability, executions, store_wide, numbers
BUD  budgets, amounts, side_effects, plain_values, numbers, returns, atomicity, concurrency, races, sequences,
     losing
APR  approvals, waiting, session_status, side_effects, returns, sequences, plain_values, concurrency,
     conditional_updates, numbers, queries, races, recorded_changes, leaving
STR  stored_streams, stream_order, following, streams, errors, transactions
CHG  change_readers, recorded_changes, lost_changes, leaving
USE  usage, store_wide, long_lists
QRY  operators, paging, cursors, queries, filter_sizes, differential, omissions, combinations, numbers, endings,
     amounts, store_wide, usage, plain_values, snapshots, stored_streams, stream_order, streams, recorded_changes,
     session_status, change_readers
TXN  transacting, sequences, transactions, isolation, snapshots, holders, documents, store_wide, races, cancellation,
     blocks, closing, numbers, stored_streams, recorded_changes, session_status, handles, model, concurrency,
     conditional_updates, errors, inputs, lifecycle, nesting, retryability, streams, usage, waiting, lost_changes,
     change_readers, crosswise, sharing, losing
LIF  lifecycle, closing, schemas, blocks, handling, leaving, model, change_readers, maintenance, atomicity,
     cancellation, durability, errors, following, handles, isolation, operations, transacting, waiting, losing
ERR  errors, retryability, conditional_updates, handling, returns, side_effects
CON  cancellation, races, concurrency, lifecycle, atomicity, leaving, handles, closing, following, transactions,
     change_readers, isolation, sharing, waiting, durability, errors, inputs, numbers, states, stored_streams,
     session_status, losing
DUR  durability, change_readers
"""
