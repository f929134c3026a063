"""The classes of tests, one module a subject. Import the classes from `aaow_storage_conformance`.

Which modules check the clauses of an area, by the number of their tests of it:

REC  records, amounts, documents, plain_values, resemblances, numbers, endings, returns, budgets, errors, executions,
     paging, sessions
OPS  operations, atomicity, races, sequences, returns, side_effects, updates, patches, conditional_updates,
     cancellation, model, records,
     documents, executions, handles, numbers, resemblances, combinations, lifecycle, snapshots, budgets, concurrency,
     endings, plain_values, sessions, states, streams, workflows, store_wide
WFL  workflows, sequences, numbers, operations, races, side_effects
SES  sessions, sequences, model, resemblances, atomicity, numbers, operations, races, side_effects, snapshots
STA  states, numbers, races, documents, isolation, operations, resemblances, returns, side_effects, snapshots,
     store_wide
LLM  store_wide, executions, combinations, numbers, sequences, side_effects
TOO  store_wide, executions, numbers
BUD  budgets, amounts, numbers, side_effects, returns, sequences, atomicity, concurrency, plain_values, races
APR  approvals, side_effects, sequences, plain_values, returns, concurrency, numbers, queries, races
STR  streams, following, errors, transactions
USE  usage, store_wide
QRY  paging, queries, operators, cursors, filter_sizes, omissions, combinations, endings, differential, numbers,
     amounts, plain_values, snapshots, store_wide, streams, usage
TXN  isolation, sequences, transactions, model, cancellation, holders, handles, numbers, races, errors, blocks,
     closing, concurrency, conditional_updates, documents, lifecycle, nesting, snapshots, store_wide, streams,
     transacting, usage
LIF  lifecycle, closing, handling, leaving, model, schemas, atomicity, blocks, cancellation, durability, errors,
     handles, isolation, operations, transacting
ERR  errors, handling, returns, side_effects, transacting
CON  cancellation, races, concurrency, atomicity, leaving, lifecycle, transactions, handles, isolation, sharing,
     closing, durability, errors, numbers, states
DUR  durability
"""
