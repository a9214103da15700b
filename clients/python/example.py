#!/usr/bin/python3
"""Novel Engine from Python, with nothing but the contract and stock gRPC.

    clients/python/generate.sh                      makes the stubs, once
    clients/python/example.py [HOST:PORT]           127.0.0.1:50051 when absent
    clients/python/example.py HOST:PORT --ca ca.pem [--cert me.pem --key me.key]      over TLS

Lists the characters, runs a simulation and streams it, breaks the stream off in the middle and resumes it where it
was, and shows what an error looks like.
"""
import argparse
import pathlib
import sys
import textwrap

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "stubs"))  # PYTHONPATH comes first

import grpc  # noqa: E402

try:
    from google.protobuf import wrappers_pb2  # noqa: E402
    from google.rpc import error_details_pb2, status_pb2  # noqa: E402
    from novelengine.v1 import novel_engine_pb2 as pb  # noqa: E402
    from novelengine.v1 import novel_engine_pb2_grpc as stubs  # noqa: E402
except ImportError as error:
    sys.exit(f"example.py: {error}: run clients/python/generate.sh first")


def list_characters(engine):
    listed = engine.ListCharacters(pb.ListCharactersRequest(view=pb.ListCharactersRequest.VIEW_FULL), timeout=10)
    print("Characters")
    for character in listed.profiles:
        print(f"  {character.character_id:10} {character.name}: {character.persona.role}")


def show(update):
    if update.type == pb.SimulationUpdate.TYPE_EVENT:
        print(f"  {update.progress_percent:3} %  {update.sequence:3}  {update.event.text}")


def stream(engine):
    """Runs a simulation to its end; its id, its last sequence and its story."""
    request = pb.SimulationRequest(
        character_names=["pilot", "scientist", "engineer"],
        turns=wrappers_pb2.Int32Value(value=4),
        setting="an abandoned mining station",
        scenario="a distress signal that nobody should be able to send",
    )
    print("\nA simulation, live")
    story, last, identifier = "", 0, ""
    for update in engine.StreamSimulation(request):
        show(update)
        identifier, last = update.simulation_id or identifier, max(last, update.sequence)
        if update.type == pb.SimulationUpdate.TYPE_RESULT:
            story = update.result.story
        elif update.type == pb.SimulationUpdate.TYPE_ERROR:
            sys.exit(f"the simulation failed: {update.error.message}")
    return identifier, last, story


def watch_in_two_parts(engine, identifier, last):
    """Breaks a watch off in the middle and resumes it behind the last event seen."""
    seen = []
    watch = engine.WatchSimulation(pb.WatchSimulationRequest(simulation_id=identifier))
    for update in watch:
        if update.type == pb.SimulationUpdate.TYPE_EVENT:
            seen.append(update.sequence)
        if len(seen) == last // 2:
            watch.cancel()
            break
    middle = seen[-1] if seen else 0
    for update in engine.WatchSimulation(pb.WatchSimulationRequest(simulation_id=identifier, after_sequence=middle)):
        if update.type == pb.SimulationUpdate.TYPE_EVENT:
            seen.append(update.sequence)
    if seen != list(range(1, last + 1)):
        sys.exit(f"events lost or repeated: {seen}")
    print(f"\nWatched again, broken off after event {middle} and resumed: all {last} events, each once")


def show_error(engine):
    """Errors carry the fields in google.rpc.BadRequest."""
    try:
        engine.RunSimulation(pb.SimulationRequest(character_names=["pilot"]), timeout=10)
    except grpc.RpcError as error:
        print(f"\nAn error: {error.code().name}: {error.details()}")
        for key, value in error.trailing_metadata():
            if key != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                bad = error_details_pb2.BadRequest()
                if detail.Unpack(bad):
                    for violation in bad.field_violations:
                        print(f"  {violation.field}: {violation.description}")
    else:
        sys.exit("one character was enough?")


def open_channel(options):
    if not options.ca:
        return grpc.insecure_channel(options.address)
    credentials = grpc.ssl_channel_credentials(
        options.ca.read_bytes(), options.key and options.key.read_bytes(), options.cert and options.cert.read_bytes())
    return grpc.secure_channel(options.address, credentials)


def main():
    parser = argparse.ArgumentParser(description="Novel Engine from Python.")
    parser.add_argument("address", nargs="?", default="127.0.0.1:50051", metavar="HOST:PORT")
    parser.add_argument("--ca", type=pathlib.Path, metavar="FILE", help="speak TLS; who signs the server's certificate")
    parser.add_argument("--cert", type=pathlib.Path, metavar="FILE", help="the certificate to show to the server")
    parser.add_argument("--key", type=pathlib.Path, metavar="FILE", help="its private key")
    options = parser.parse_args()
    address = options.address
    with open_channel(options) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=10)
        except grpc.FutureTimeoutError:
            sys.exit(f"example.py: no server at {address}: start novel-server first")
        engine = stubs.NovelEngineStub(channel)
        list_characters(engine)
        identifier, last, story = stream(engine)
        watch_in_two_parts(engine, identifier, last)
        print()
        for paragraph in story.split("\n"):
            print(textwrap.fill(paragraph, 88))
        show_error(engine)


if __name__ == "__main__":
    main()
