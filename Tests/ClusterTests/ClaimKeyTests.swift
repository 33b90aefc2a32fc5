import Testing

@testable import Cluster

@Suite("Keys of claims") struct ClaimKeyTests {
    private static let member = ClaimMember(client: [1], instance: [2])
    private static let client = ClaimOwner.client([0xAB, 0x01])
    private static let group = ClaimOwner(group: "web", proof: [1, 2, 3])

    @Test(
        "a key is read back from its text",
        arguments: [
            ClaimKey(.tcp(0), owner: client, member: member), ClaimKey(.tcp(65_535), owner: group, member: member),
            ClaimKey(.udp(53), owner: .client(Array(repeating: 255, count: 32)), member: member),
            ClaimKey(.name("app.example.com"), part: "http:/api", owner: client, member: member),
            ClaimKey(.name("a/b%2f c"), part: "http:/%/ü\u{0}\n", owner: client, member: member),
            ClaimKey(.name("\u{212A}"), part: "e\u{301}", owner: group, member: member),
        ]
    )
    func roundTrip(key: ClaimKey) {
        let text = "\(key)"
        #expect(ClaimKey(text) == key)
        #expect(text.split(separator: "/", omittingEmptySubsequences: false).count == 4)
        #expect(text.utf8.allSatisfy { (0x21...0x7E).contains($0) })
    }

    @Test("the text of a key is pinned, since servers of other versions read it")
    func pinned() {
        let key = ClaimKey(.name("app.example.com"), part: "http:/a b", owner: Self.client, member: Self.member)
        #expect("\(key)" == "name:app.example.com/c-ab01/http:%2fa%20b/\(Self.member)")
        #expect("\(Self.member)" == "\(ClaimMember(client: [1], instance: [2]))" && "\(Self.member)".count == 32)
        #expect("\(Self.group)".count == 34 && "\(Self.group)".hasPrefix("g-"))
    }

    @Test(
        "a text that is not exactly what a place prints is no place",
        arguments: [
            "", "tcp", "tcp:", "tcp:-1", "tcp:+1", "tcp:01", "tcp:65536", "tcp:1 ", "tcp: 1", "TCP:1", "tcp:1:2",
            "tcp:0x1",
            "tcp:\u{0661}", "udp:", "udp:99999999999999999999", "name:", "name:%", "name:%2", "name:%2F", "name:%zz",
            "name:%61", "name:a b", "name:é", "name:%ff", "name:a/b", "name:a%00\u{0}", "names:a", ":1", "tcp\u{301}:1",
            "name:\u{212A}", "name:a\u{301}",
        ]
    )
    func noPlace(text: String) {
        #expect(ClaimPlace(text) == nil)
        #expect(ClaimPlace(text[...]) == nil)
    }

    @Test(
        "a text that is not exactly what an owner prints is no owner",
        arguments: [
            "", "c", "c-", "g-", "c-a", "c-AB", "c-ab ", "x-ab", "c_ab", "c--ab", "cab", "-ab", "c-é", "c\u{301}-ab",
            "c-" + String(repeating: "ab", count: 33),
        ]
    )
    func noOwner(text: String) {
        #expect(ClaimOwner(text) == nil)
    }

    @Test("the identity of an owner has 1 to 32 bytes")
    func ownerLengths() {
        #expect(ClaimOwner("c-00") == .client([0]))
        #expect(ClaimOwner("g-" + String(repeating: "0f", count: 32)) == .group(Array(repeating: 15, count: 32)))
    }

    @Test(
        "a text that is not exactly what a member or a server prints is neither",
        arguments: [
            "", "00", String(repeating: "A", count: 32), String(repeating: "0", count: 31), "zz", "0000000g",
            "AABBCCDD",
        ]
    )
    func noMember(text: String) {
        #expect(ClaimMember(text) == nil)
        #expect(ServerID(text) == nil)
    }

    @Test("a changed byte of a key's text is no key, or another key that prints so")
    func mutations() {
        let text = Array(
            "\(ClaimKey(.name("a.example"), part: "http:/%", owner: Self.client, member: Self.member))".utf8
        )
        for index in text.indices {
            for byte in UInt8.min...UInt8.max {
                var other = text
                other[index] = byte
                let string = String(decoding: other, as: UTF8.self)
                if let key = ClaimKey(string) { #expect("\(key)" == string) }
            }
            #expect(ClaimKey(String(decoding: text[..<index], as: UTF8.self)) == nil)
        }
    }

    @Test("the longest text of a key is 4,096 bytes")
    func longest() {
        let rest = "\(ClaimKey(.name("a"), owner: Self.client, member: Self.member))".utf8.count
        for (length, isKey) in [(ClaimKey.longestText - rest, true), (ClaimKey.longestText - rest + 1, false)] {
            let part = String(repeating: "a", count: length)
            let key = ClaimKey(.name("a"), part: part, owner: Self.client, member: Self.member)
            #expect((ClaimKey("\(key)") == key) == isKey)
        }
    }

    @Test("the home of a session is the first four bytes of its id")
    func home() {
        #expect(ServerID(ofSession: [0x12, 0x34, 0x56, 0x78, 9]) == ServerID(0x1234_5678))
        #expect(ServerID(ofSession: [1, 2, 3]) == nil && ServerID(ofSession: []) == nil)
        #expect("\(ServerID(0x0001_02FF))" == "000102ff" && ServerID("000102ff") == ServerID(0x0001_02FF))
    }

    @Test("a place has one owner, a part of it one member, and only a group has several")
    func exclusion() {
        let name = ClaimPlace.name("a.example")
        let other = ClaimMember(client: [1], instance: [3])
        func key(_ owner: ClaimOwner, _ part: String, _ member: ClaimMember, _ place: ClaimPlace = name) -> ClaimKey {
            ClaimKey(place, part: part, owner: owner, member: member)
        }
        let own = key(Self.client, "http:/", Self.member)
        let rows: [(ClaimKey, Bool)] = [
            (own, true), (key(Self.client, "http:/", other), true), (key(Self.client, "http:/api", Self.member), false),
            (key(Self.client, "http:/api", other), false), (key(.client([9]), "http:/api", Self.member), true),
            (key(Self.group, "http:/api", Self.member), true), (key(Self.client, "http:/", other, .tcp(1)), false),
        ]
        for (key, excludes) in rows {
            #expect(own.excludes(key) == excludes, "\(key)")
            #expect(key.excludes(own) == excludes, "\(key)")
        }
        let grouped = key(Self.group, "http:/", Self.member)
        #expect(grouped.excludes(grouped))
        #expect(!grouped.excludes(key(Self.group, "http:/", other)))
        #expect(grouped.excludes(key(ClaimOwner(group: "web", proof: [9]), "http:/", other)))
    }
}

@Suite("Claims by place") struct ClaimTableTests {
    @Test("a table has each key once, and no place without a claim")
    func table() {
        var table = ClaimTable()
        let one = ScriptedNode.held(ScriptedNode.key(), 1)
        let two = ScriptedNode.held(ScriptedNode.key(client: 2), 2)
        table.set(one)
        table.set(one)
        table.set(two)
        #expect(table.count == 2 && table.all.count == 2 && table[one.claim.key] == one)
        table.set(ScriptedNode.held(one.claim.key, 7))
        #expect(table.count == 2 && table[one.claim.key]?.epoch == Revision(7))
        #expect(Set(table.excluding(ScriptedNode.key(client: 3)).map(\.epoch)) == [Revision(2), Revision(7)])
        #expect(table.remove(one.claim.key) != nil && table.remove(one.claim.key) == nil)
        #expect(table.remove(two.claim.key) == two)
        #expect(table.count == 0 && table.places.isEmpty && table.claims(of: .tcp(8022)).isEmpty)
    }
}
