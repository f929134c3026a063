"""The classes of tests, one module a subject. Import the classes from `aaow_storage_conformance`.

Which modules check the clauses of an area, by the number of their tests of it:

REC  documents, records, plain_values, resemblances, amounts, observability, endings, returns, numbers, budgets, errors,
     executions, paging, sessions
OPS  cancellation, operations, races, store_wide, conditional_updates, patches, atomicity, resemblances, updates,
     numbers, sequences, records, snapshots, documents, endings, returns, handles, observability, executions,
     side_effects, combinations, lifecycle, model, stream_order, budgets, concurrency, plain_values, sessions, states,
     streams, workflows
WFL  workflows, sequences, numbers, operations, races, side_effects
SES  sessions, races, sequences, resemblances, model, snapshots, atomicity, numbers, observability, operations,
     side_effects
STA  states, observability, store_wide, numbers, returns, snapshots, documents, isolation, operations, races,
     resemblances, side_effects
LLM  executions, store_wide, combinations, numbers, observability, sequences, side_effects
TOO  observability, executions, numbers, store_wide
BUD  budgets, amounts, side_effects, plain_values, numbers, returns, atomicity, concurrency, races, sequences
APR  approvals, side_effects, returns, sequences, plain_values, concurrency, numbers, queries, races
STR  stream_order, following, streams, errors, transactions
USE  usage, store_wide
QRY  operators, paging, cursors, queries, filter_sizes, omissions, differential, combinations, numbers, endings,
     amounts, store_wide, usage, plain_values, snapshots, stream_order, streams
TXN  transacting, sequences, transactions, isolation, snapshots, holders, documents, store_wide, races, cancellation,
     blocks, closing, numbers, handles, model, concurrency, conditional_updates, errors, lifecycle, nesting, streams,
     usage
LIF  lifecycle, closing, schemas, blocks, handling, leaving, model, atomicity, cancellation, durability, errors,
     following, handles, isolation, operations, transacting
ERR  errors, handling, returns, transacting, side_effects
CON  cancellation, races, concurrency, lifecycle, atomicity, handles, closing, following, leaving, transactions,
     isolation, sharing, durability, errors, numbers, states
DUR  durability
"""
