import Testing

@testable import culvert

@Suite("Changes to the clients of a configuration")
struct ClientEntriesTests {
    private static let sample = """
        # a server
        listen = "127.0.0.1:8080"

        [limits]
        streams = 100

        [[client]]
        # the workshop
        name = "workshop"
        verifier = "one"
        allow_ports = "8022"   # ssh

        # the laptop
        [[client]]
        name = 'laptop'
        verifier = [
            "two", # old
            "three",
        ]

        """

    @Test("Entries are read with their names and verifiers")
    func entries() {
        let entries = ClientEntries(Self.sample)
        #expect(
            entries.entries == [
                ClientEntries.Entry(name: "workshop", verifiers: ["one"]),
                ClientEntries.Entry(name: "laptop", verifiers: ["two", "three"]),
            ]
        )
        #expect(entries.index(of: "laptop") == 1 && entries.index(of: "Laptop") == nil)
    }

    @Test("A new entry goes to the end, and every other line stays")
    func add() {
        var entries = ClientEntries(Self.sample)
        entries.add("new \"one\"", verifier: "four", ["allow_ports = \"1-2\""])
        #expect(
            entries.text == Self.sample
                + "\n[[client]]\nname = \"new \\\"one\\\"\"\nverifier = \"four\"\nallow_ports = \"1-2\"\n"
        )
        #expect(ClientEntries(entries.text).entries.last?.name == "new \"one\"")
        var empty = ClientEntries("")
        empty.add("a", verifier: "b")
        #expect(empty.text == "[[client]]\nname = \"a\"\nverifier = \"b\"\n")
    }

    @Test("An entry is removed from its head to its last value; comments around it stay")
    func remove() {
        var entries = ClientEntries(Self.sample)
        let isRemoved = entries.remove(0)
        #expect(isRemoved)
        #expect(
            entries.text
                == Self.sample.replacing(
                    "[[client]]\n# the workshop\nname = \"workshop\"\nverifier = \"one\"\nallow_ports = \"8022\"   # ssh\n\n",
                    with: ""
                )
        )
        var last = ClientEntries(Self.sample)
        let isLastRemoved = last.remove(1)
        #expect(isLastRemoved)
        #expect(last.text.hasSuffix("# the laptop\n"))
    }

    @Test("Verifiers are replaced on their own lines, one or several")
    func verifiers() {
        var entries = ClientEntries(Self.sample)
        let (isFirst, isSecond): (Bool, Bool)
        isFirst = entries.setVerifiers(["one", "new"], of: 0)
        #expect(entries.text.contains("verifier = [\n    \"one\",\n    \"new\",\n]\nallow_ports"))
        isSecond = entries.setVerifiers(["three"], of: 1)
        #expect(isFirst && isSecond)
        #expect(entries.text.hasSuffix("name = 'laptop'\nverifier = \"three\"\n"))
        #expect(ClientEntries(entries.text).entries.map(\.verifiers) == [["one", "new"], ["three"]])
    }

    @Test("Line ends stay as they are")
    func lineEnds() {
        var entries = ClientEntries(Self.sample.replacing("\n", with: "\r\n"))
        entries.add("x", verifier: "y")
        let isSet = entries.setVerifiers(["z"], of: 0)
        #expect(isSet)
        #expect(!entries.text.replacing("\r\n", with: "").contains("\n"))
    }

    @Test("An entry in one line is left to its owner")
    func inline() {
        let text = "client = [{ name = \"a\", verifier = \"b\" }]\n"
        var entries = ClientEntries(text)
        #expect(entries.entries == [ClientEntries.Entry(name: "a", verifiers: ["b"])])
        let (isRemoved, isSet) = (entries.remove(0), entries.setVerifiers(["c"], of: 0))
        #expect(!isRemoved && !isSet)
        #expect(entries.text == text)
    }
}
