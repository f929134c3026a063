"""The classes of tests, one module a subject. Import the classes from `aaow_storage_conformance`.

Which modules check the clauses of an area, by the number of their tests of it:

REC  documents, records, plain_values, resemblances, amounts, observability, endings, returns, numbers, budgets,
     errors, executions, paging, sessions
OPS  cancellation, operations, races, store_wide, patches, conditional_updates, atomicity, resemblances, updates,
     sequences, numbers, records, snapshots, documents, returns, endings, handles, observability, side_effects,
     executions, model, combinations, lifecycle, stream_order, budgets, concurrency, plain_values, sessions, states,
     streams, workflows
WFL  workflows, sequences, numbers, operations, races, side_effects
SES  sessions, races, sequences, resemblances, model, snapshots, atomicity, numbers, operations, side_effects,
     observability
STA  states, store_wide, observability, numbers, returns, snapshots, races, documents, isolation, operations,
     resemblances, side_effects
LLM  executions, store_wide, combinations, numbers, sequences, side_effects, observability
TOO  observability, executions, store_wide, numbers
BUD  budgets, amounts, side_effects, plain_values, numbers, returns, sequences, atomicity, concurrency, races
APR  approvals, side_effects, returns, sequences, plain_values, concurrency, numbers, queries, races
STR  stream_order, following, streams, errors, transactions
USE  usage, store_wide
QRY  paging, operators, cursors, queries, filter_sizes, omissions, differential, combinations, numbers, endings,
     amounts, store_wide, usage, plain_values, snapshots, streams, stream_order
TXN  transacting, sequences, transactions, isolation, snapshots, holders, documents, store_wide, races, cancellation,
     blocks, numbers, closing, model, handles, errors, concurrency, conditional_updates, lifecycle, nesting, streams,
     usage
LIF  lifecycle, closing, schemas, handling, leaving, model, blocks, atomicity, cancellation, durability, errors,
     handles, isolation, operations, transacting, following
ERR  errors, handling, returns, transacting, side_effects
CON  cancellation, races, concurrency, lifecycle, atomicity, handles, leaving, transactions, closing, following,
     isolation, sharing, durability, errors, numbers, states
DUR  durability
"""
