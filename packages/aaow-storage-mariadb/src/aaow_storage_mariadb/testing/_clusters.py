"""Galera clusters of three private servers: killed, made to stand still, cut off from each other, and healed."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import MappingProxyType

import attrs
import pymysql

from aaow_storage_mariadb.testing._connections import connect, fetch
from aaow_storage_mariadb.testing._databases import Databases
from aaow_storage_mariadb.testing._programs import Programs, find_programs
from aaow_storage_mariadb.testing._servers import OWNER, PASSWORD, PREFIX, SMALL, USER, WITHOUT_FLUSHES, Server
from aaow_storage_sql.testing import free_port

NODES = 3
SETTLES_WITHIN_S = 120.0
_ANSWERS_WITHIN_S = 2.0
_POLL_S = 0.02
_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "binlog-format": "ROW",
        "default-storage-engine": "InnoDB",
        "innodb-autoinc-lock-mode": "2",
        "innodb-buffer-pool-size": "64M",
        "innodb-log-file-size": "32M",
        "wsrep-on": "ON",
        "wsrep-sst-method": "rsync",
    }
)
_PROVIDER_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "gcache.size": "64M",
        "socket.ssl": "no",
        # A node that does not answer is left out after 3 seconds: sooner than by default, which is right for a network,
        # and late enough for a machine on which much else runs.
        "evs.keepalive_period": "PT0.2S",
        "evs.inactive_check_period": "PT0.2S",
        "evs.suspect_timeout": "PT2.5S",
        "evs.inactive_timeout": "PT5S",
        "evs.install_timeout": "PT5S",
    }
)
_STATUS = "SHOW GLOBAL STATUS WHERE variable_name IN ('wsrep_ready', 'wsrep_local_state_comment', 'wsrep_cluster_size')"
_POSITION = re.compile(r"WSREP: Recovered position:\s*(\S+)")
_BOOTSTRAP = "--wsrep-new-cluster"


@attrs.frozen
class NodeState:
    """What a node says of itself.

    Attributes:
        is_ready: whether it executes statements; without a majority of the nodes it does not.
        state: such as `Synced`, `Joiner`, `Donor/Desynced`; empty for a node that does not answer.
        size: how many nodes it sees, itself included.
    """

    is_ready: bool = False
    state: str = ""
    size: int = 0


class Node(Server):
    """A server of a cluster."""

    def state(self) -> NodeState:
        """Return what it says of itself; one that does not answer is not ready and sees nobody."""
        try:
            with closing(connect(f"mariadb://root@{self.address}", answers_within_s=_ANSWERS_WITHIN_S)) as connection:
                said = dict(fetch(connection, _STATUS))
        except (pymysql.Error, OSError):
            return NodeState()
        return NodeState(
            is_ready=said["wsrep_ready"] == "ON",
            state=said["wsrep_local_state_comment"],
            size=int(said["wsrep_cluster_size"]),
        )

    def wait_until(self, is_so: Callable[[NodeState], bool]) -> NodeState:
        """Wait until that holds of its state, and return the state.

        Raises:
            RuntimeError: the server has ended, or it takes too long.
        """
        deadline = time.monotonic() + SETTLES_WITHIN_S
        while not is_so(state := self.state()):
            self.fail_if_ended_or_after(deadline, state)
            time.sleep(_POLL_S)
        return state

    def wait_for_database(self, name: str) -> None:
        """Wait until it has a database that was created on another node; until then a login to it fails.

        Raises:
            RuntimeError: the server has ended, or it takes too long.
        """
        deadline = time.monotonic() + SETTLES_WITHIN_S
        while not self.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", name):
            self.fail_if_ended_or_after(deadline, f"the database {name} is missing")
            time.sleep(_POLL_S)

    def begin(self) -> None:
        """Start the server, and wait for nothing: it joins the others.

        After a crash it first finds out what it has, as the service of Debian does. So it asks the others for what it
        lacks, and not for everything.
        """
        arguments: list[str] = []
        if (self.data / "grastate.dat").exists():
            found = _POSITION.search(self.run([*self.command(), "--wsrep-recover"]))
            if found is not None and not found[1].endswith(":-1"):
                arguments.append(f"--wsrep-start-position={found[1]}")
        self.launch(arguments)

    def start(self, arguments: Sequence[str] = ()) -> None:
        """Start the server, and wait until it has joined the others that run.

        Raises:
            RuntimeError: it exited, or does not join them in time.
        """
        if arguments:
            super().start(arguments)
        else:
            self.begin()
        self.wait_until(lambda state: state.is_ready and state.state == "Synced")

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Cut the node off from the other nodes inside the block; clients still reach it."""
        self.cut_off_from_nodes(is_cut_off=True)
        try:
            yield
        finally:
            if self.is_running:
                self.cut_off_from_nodes(is_cut_off=False)

    def cut_off_from_nodes(self, *, is_cut_off: bool) -> None:
        """Say whether its packets to other nodes, and theirs to it, are lost."""
        self.execute("SET GLOBAL wsrep_provider_options = %s", f"gmcast.isolate={is_cut_off:d}")


class Cluster:
    """Three nodes, each of which takes writes.

    Attributes:
        nodes: its nodes. What is done to one of them, `heal` undoes.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes

    def url(self, database: str = "", *, first: int = 0) -> str:
        """Return the URL of a database with the addresses of all nodes, in their order from the first."""
        addresses = [node.address for node in [*self.nodes[first:], *self.nodes[:first]]]
        return f"mariadb://{USER}:{PASSWORD}@{','.join(addresses)}/{database}"

    @contextmanager
    def temporary_database(self, *, first: int = 0) -> Iterator[str]:
        """Yield the URL of an empty database on all nodes. After the block the cluster is healed, and it is dropped."""
        with closing(Databases(self.nodes[0].url())) as databases, databases.temporary() as url:
            name = url.rpartition("/")[2]
            try:
                for node in self.nodes:
                    node.wait_for_database(name)
                yield self.url(name, first=first)
            finally:
                self.heal()

    def heal(self) -> None:
        """Start the nodes that do not run, connect those that were cut off, and wait until all have the same data.

        Raises:
            RuntimeError: it takes too long.
        """
        down = [node for node in self.nodes if not node.is_running]
        for node in self.nodes:
            if node not in down:
                node.cut_off_from_nodes(is_cut_off=False)
        if len(down) == len(self.nodes) and (last := next(filter(_was_last, down), None)) is not None:
            last.start([_BOOTSTRAP])
            down.remove(last)
        if any(node.state().is_ready for node in self.nodes):
            for node in down:
                node.start()
        else:  # it takes several of them until one is ready
            for node in down:
                node.begin()
        self.wait_until_synced()

    def wait_until_synced(self) -> None:
        """Wait until all nodes are ready, see each other and have the same data.

        Raises:
            RuntimeError: one has ended, or it takes too long.
        """
        for node in self.nodes:
            node.wait_until(lambda state: state == NodeState(is_ready=True, state="Synced", size=len(self.nodes)))

    def kill(self) -> None:
        """Kill all nodes at once."""
        for node in self.nodes:
            node.kill()


@contextmanager
def private_cluster(*, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Cluster]:
    """Yield a cluster of three private servers, with their files in memory; it takes about ten seconds to start.

    Args:
        settings: options of `mariadbd`, beside those that a cluster needs.

    Raises:
        NoMariaDBError: MariaDB is not installed.
        NoGaleraError: Galera or rsync is not installed.
    """
    programs = find_programs()
    library = programs.galera()
    with ExitStack() as stack:
        folders = [stack.enter_context(OWNER.folder(prefix=PREFIX, in_memory=True)) for _ in range(NODES)]
        names = {"wsrep-provider": str(library), "wsrep-cluster-name": folders[0].name}
        chosen = {**SMALL, **WITHOUT_FLUSHES, **_SETTINGS, **names, **settings}
        cluster = Cluster(_nodes(folders, chosen, programs))
        stack.callback(cluster.kill)
        _start(cluster.nodes)
        yield cluster


def _nodes(folders: Sequence[Path], settings: Mapping[str, str], programs: Programs) -> list[Node]:
    addresses = [f"127.0.0.1:{free_port()}" for _ in folders]
    nodes = []
    for folder, address in zip(folders, addresses, strict=True):
        transfer = f"127.0.0.1:{free_port()}"
        options = {
            **_PROVIDER_OPTIONS,
            "gmcast.listen_addr": f"tcp://{address}",
            "ist.recv_addr": transfer,
            "ist.recv_bind": transfer,
        }
        of_node = {
            "wsrep-cluster-address": f"gcomm://{','.join(addresses)}",
            "wsrep-node-name": folder.name,
            "wsrep-node-address": address,
            "wsrep-sst-receive-address": f"127.0.0.1:{free_port()}",
            "wsrep-provider-options": ";".join(f"{name}={value}" for name, value in options.items()),
        }
        nodes.append(Node(folder, {**settings, **of_node}, programs))
    return nodes


def _start(nodes: Sequence[Node]) -> None:
    """Start a new cluster: the others get the files of the first, so they have little to ask it for."""
    first, *others = nodes
    first.create()
    first.start([_BOOTSTRAP])
    first.create_user()
    first.stop()
    for node in others:
        node.run(["cp", "-R", str(first.data), str(node.data)])
        (node.data / "galera.cache").unlink(missing_ok=True)
    first.start([_BOOTSTRAP])
    for node in others:  # a node sends its data to one other at a time
        node.start()
    for node in nodes:
        node.wait_until(lambda state: state.size == len(nodes))


def _was_last(node: Node) -> bool:
    """Say whether a node was the last that stopped, so that it has all that was committed."""
    return "safe_to_bootstrap: 1" in (node.data / "grastate.dat").read_text()
