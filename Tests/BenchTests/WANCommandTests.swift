import Testing

@testable import culvert_bench

@Suite("The arguments of culvert-bench wan") struct WANCommandTests {
    @Test(
        "a path is a delay, a rate and a loss, and reads back as written",
        arguments: ["50/100/0", "50/100/0.2", "25/100/1", "0/0.5/99", "12.5/10/0.01"]
    )
    func path(text: String) throws {
        let shape = try #require(PathShape(argument: text))
        #expect(shape.argument == text)
    }

    @Test(
        "a path without three numbers, or with one out of range, is refused",
        arguments: [
            "", "50", "50/100", "50/100/0/1", "-1/100/0", "50/0/0", "50/100/100", "50/100/-1", "a/b/c", "nan/1/1",
        ]
    )
    func noPath(text: String) {
        #expect(PathShape(argument: text) == nil)
    }

    @Test("a title has the round trip") func title() {
        #expect(
            PathShape.usual.map(\.title) == [
                "100 ms, 100 Mbit/s, no loss", "100 ms, 100 Mbit/s, 0.2 % loss", "50 ms, 100 Mbit/s, 1 % loss",
            ]
        )
    }

    @Test(
        "a variant has a name, perhaps an executable, and flags as they are",
        arguments: [
            ("one=--carriers 1", PathVariant(name: "one", flags: ["--carriers", "1"])),
            ("auto=", PathVariant(name: "auto")),
            ("old@/a/b=", PathVariant(name: "old", executable: "/a/b")),
            ("x=--set a=b", PathVariant(name: "x", flags: ["--set", "a=b"])),
        ]
    )
    func variant(text: String, variant: PathVariant) {
        #expect(PathVariant(argument: text) == variant)
    }

    @Test("a variant needs a name, and an executable after @", arguments: ["", "one", "=--x", "@/a=", "one@="])
    func noVariant(text: String) {
        #expect(PathVariant(argument: text) == nil)
    }

    @Test("all options are read") func options() throws {
        let command = try WANCommand.parse([
            "--paths", "50/100/0.2,1/2/3", "--systems", "direct,culvert", "--variant", "one=--carriers 1", "--variant",
            "auto=", "--server-flags", "--log-level debug", "--cc", "bbr", "--throttle", "10", "--bulk-only",
            "--upload",
            "--seconds", "2", "--seed", "7", "--requests", "1000/20",
        ])
        #expect(command.paths.items.map(\.argument) == ["50/100/0.2", "1/2/3"])
        #expect(command.systems?.items == [.direct, .culvert])
        #expect(command.variant.map(\.name) == ["one", "auto"])
        #expect(command.requests == PacedRequests(bytes: 1_000, milliseconds: 20))
        #expect(command.serverFlags == "--log-level debug")
        #expect(command.congestionControl == "bbr" && command.throttle == 10 && command.seed == 7)
        #expect(command.bulkOnly && command.upload && command.seconds == 2)
    }

    @Test(
        "wrong options are refused",
        arguments: [
            ["--rounds", "0"], ["--seconds", "4"], ["--seconds", "601"], ["--throttle", "0"], ["--cc", "a b"],
            ["--variant", "a=", "--variant", "a=--x"], ["--variant", "direct="], ["--paths", "1/2"],
            ["--systems", "ssh"],
            ["--requests", "64"], ["--requests", "0/100"], ["--requests", "64/0"],
        ]
    )
    func refused(arguments: [String]) {
        #expect(throws: (any Error).self) { try WANCommand.parse(arguments) }
    }

    @Test("a program of another tunnel is found in the first folder that has it, and frp needs two") func programs() {
        #expect(PathSystem.peer(.chisel, in: ["/nonexistent"]) == nil)
        #expect(PathSystem.peer(.frp, in: []) == nil)
    }
}
