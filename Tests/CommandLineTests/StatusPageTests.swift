import Foundation
import Mux
import Testing

@testable import Cluster
@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer
@testable import culvert

@Suite("culvert status")
struct StatusPageTests {
    private static let start = Date(timeIntervalSince1970: 1_800_000_000)

    private func server(
        bytes: Int = 1_200_000,
        visitors: Int = 1,
        visitorBytes: Int = 1_000,
        gone: Int = 1
    ) -> ServerStatus {
        let since = Self.start.addingTimeInterval(90)
        let session = SessionStatus(
            number: 4,
            client: "workshop",
            name: "workshop/a",
            peer: "203.0.113.9:40001",
            front: "127.0.0.1:9",
            software: "culvert/0.1.0",
            version: 1,
            sealedWith: "7KQM-2X0A-HF4T-9WCE-5RJB",
            since: since,
            roundTripMs: 23.4,
            isDraining: false,
            hasCarrier: true,
            carrierSince: Self.start.addingTimeInterval(3_600),
            lastSeen: Self.start.addingTimeInterval(3_689),
            carriers: 3,
            resumes: 2,
            streams: visitors,
            queuedBytes: 0,
            bufferedBytes: 0,
            bytesToService: bytes,
            bytesToVisitor: 34_000_000,
            tunnels: [
                TunnelStatus(
                    tunnel: 0,
                    address: "::",
                    port: 8022,
                    visitors: visitors,
                    visitorsSoFar: 12,
                    bytesToService: bytes,
                    bytesToVisitor: 34_000_000
                ),
                TunnelStatus(
                    tunnel: 1,
                    transport: "tcp",
                    wanted: "port 80",
                    refusal: "port not allowed: ask for another"
                ),
            ],
            visitors: (0..<visitors).map { index in
                VisitorStatus(
                    stream: UInt32(2 * index + 2),
                    address: "198.51.100.7:\(5_000 + index)",
                    tunnel: 0,
                    port: 8022,
                    since: since,
                    bytesToService: visitorBytes + index,
                    bytesToVisitor: 0
                )
            }
        )
        return ServerStatus(
            started: Self.start,
            now: Self.start.addingTimeInterval(3_690),
            key: "7KQM-2X0A-HF4T-9WCE-5RJB",
            isAccepting: true,
            handshakes: 0,
            sessions: [session],
            gone: (1...gone).map { number in
                GoneClientStatus(
                    client: "depot",
                    name: "depot/\(number)",
                    peer: "203.0.113.8:5000",
                    software: "culvert/0.1.0",
                    since: Self.start,
                    goneSince: Self.start.addingTimeInterval(3_600),
                    reason: "no new carrier came in time",
                    places: ["port 9000"]
                )
            },
            totals: TotalStatus(sessions: 4, visitors: 12, bytesToService: bytes, bytesToVisitor: 34_000_000)
        )
    }

    @Test("A server's page has exactly this text")
    func page() {
        let page = StatusPage(status: .server(server()), rates: nil).lines.joined(separator: "\n")
        #expect(
            page == """
                culvert 0.1.0 server, up 1 h 1 min, key 7KQM-2X0A-HF4T-9WCE-5RJB
                now: 1 session, 1 tunnel, 1 visitor
                so far: 4 sessions, 12 visitors, 1.2 MB to services, 34 MB to visitors

                CLIENT      FROM                              SOFTWARE       SEALED        FOR   WEBSOCKET  RESUMES  ROUND TRIP
                workshop/a  203.0.113.9:40001 by 127.0.0.1:9  culvert/0.1.0  yes     1 h 0 min  1 min 30 s        2       23 ms

                CLIENT      PUBLIC                                                 VISITORS  SO FAR  TO SERVICE  TO VISITOR
                workshop/a  [::]:8022                                                     1      12      1.2 MB       34 MB
                workshop/a  port 80 not public: port not allowed: ask for another         0       0         0 B         0 B

                GONE     FROM                   SINCE  WHY
                depot/1  203.0.113.8:5000  1 min 30 s  no new carrier came in time

                VISITOR            AT                     FOR  TO SERVICE  TO VISITOR
                198.51.100.7:5000  workshop/a:8022  1 h 0 min      1.0 kB         0 B
                """
        )
    }

    @Test("A server of a cluster shows its claims, the store and all servers")
    func cluster() {
        var status = server()
        let other = ServerRecord(
            ServerID(0xA1),
            peerURL: "wss://b:7443/peer\u{1B}[2J",
            isDraining: true,
            version: "0.1.0",
            since: 1_800_003_000
        )
        let own = ServerRecord(ServerID(0xA0), peerURL: "wss://a:7443/peer", version: "0.1.0", since: 1_800_000_000)
        status.cluster = ClusterStatus(
            server: "000000a0",
            peerUrl: "wss://a:7443/peer",
            isStoreReachable: false,
            storeSilentSince: Self.start.addingTimeInterval(3_678),
            lastStoreFailure: "no answer",
            leases: 1,
            claims: 2,
            waitingClaims: 1,
            portsOfOthers: 40,
            unservedPorts: 1,
            servers: [
                ClusterServerStatus(own, isLinked: false, streams: 0),
                ClusterServerStatus(other, isLinked: true, streams: 7),
            ]
        )
        let lines = StatusPage(status: .server(status), rates: nil).lines
        #expect(
            lines[3...7].joined(separator: "\n") == """
                cluster: server 000000a0, 2 claims and 1 not granted yet in 1 lease, 40 ports of other servers (1 cannot be \
                bound here), etcd has not answered for 12 s: no answer

                SERVER               PEER URL                    RELEASE           UP  LINK  STREAMS
                000000a0 (this one)  wss://a:7443/peer           0.1.0      1 h 1 min  -           -
                000000a1 (draining)  wss://b:7443/peer\\u{1B}[2J  0.1.0    11 min 30 s  open        7
                """
        )
        status.cluster?.isStoreReachable = true
        #expect(StatusPage(status: .server(status), rates: nil).lines[3].hasSuffix("here), etcd answers"))
    }

    @Test("A record of another server with an impossible time is shown and encoded", arguments: [Int64.min, .max])
    func impossibleTime(since: Int64) throws {
        let record = ServerRecord(ServerID(1), peerURL: "", version: "", since: since)
        let status = ClusterServerStatus(record, isLinked: false, streams: 0)
        #expect(try StatusJSON.decode(ClusterServerStatus.self, from: StatusJSON.encode(status)) == status)
    }

    private static func lane(_ number: UInt32, _ change: (inout LaneStatus) -> Void) -> LaneStatus {
        let state = SessionLoop.LaneState(
            lane: LaneID(number),
            age: .seconds(90),
            moved: 34_000_000,
            rate: 0,
            roundTrip: nil,
            unacknowledged: 0,
            retransmitted: nil
        )
        var lane = LaneStatus(state, since: start.addingTimeInterval(3_600))
        change(&lane)
        return lane
    }

    private static let lanes = [
        lane(0) { $0.peer = "203.0.113.9:40001" },
        lane(3) { lane in
            (lane.rate, lane.roundTripMs, lane.retransmittedSegments) = (3_100_000, 104.2, 12)
            (lane.unacknowledgedBytes, lane.peer) = (260_000, "203.0.113.9:40007")
            (lane.reason, lane.proxy) = ("bulk and interactive traffic at once", "http://two:3128")
        },
    ]

    @Test("A server's page has a row for each WebSocket of a session that has several, and none for a session with one")
    func severalLanes() throws {
        var server = server()
        server.sessions[0].lanes = [Self.lanes[0]]
        let one = StatusPage(status: .server(server), rates: nil).lines
        #expect(!one.contains { $0.contains("LANE") })
        server.sessions[0].lanes = Self.lanes
        let page = StatusPage(status: .server(server), rates: nil)
        #expect(page.lines.count == one.count + 4)
        #expect(
            page.lanes.0.lines == [
                "CLIENT      LANE   WEBSOCKET  ROUND TRIP  DELIVERS  IN FLIGHT  RESENT  BYTES  FROM",
                "workshop/a     0  1 min 30 s           -         -        0 B       -  34 MB  203.0.113.9:40001",
                "workshop/a     3  1 min 30 s      104 ms  3.1 MB/s     260 kB      12  34 MB  203.0.113.9:40007",
            ]
        )
        #expect(try StatusJSON.decode(ServerStatus.self, from: StatusJSON.encode(server)) == server)
        server.sessions[0].lanes = (0..<43).map { number in Self.lane(number) { _ in } }
        #expect(StatusPage(status: .server(server), rates: nil).lines.contains("and 3 WebSockets more; --json has all"))
    }

    @Test("A client's page says why each WebSocket was opened, and by which proxy if they differ")
    func lanesOfClient() throws {
        let session = ClientSessionStatus(
            url: "wss://example.com/tunnel",
            proxy: "http://one:3128",
            software: "culvert/0.1.0",
            since: Self.start,
            isDraining: false,
            hasCarrier: true,
            carriers: 1,
            resumes: 0,
            streams: 0,
            queuedBytes: 0,
            bufferedBytes: 0,
            lanes: Self.lanes,
            tunnels: [],
            visitors: []
        )
        var client = ClientStatus(
            started: Self.start,
            now: Self.start.addingTimeInterval(3_690),
            connection: ConnectionStatus(isConnected: true),
            session: session,
            totals: TotalStatus(sessions: 1, visitors: 0, bytesToService: 0, bytesToVisitor: 0)
        )
        #expect(
            StatusPage(status: .client(client), rates: nil).lanes.0.lines == [
                "LANE   WEBSOCKET  ROUND TRIP  DELIVERS  IN FLIGHT  RESENT  BYTES  WHY                                   PROXY",
                "   0  1 min 30 s           -         -        0 B       -  34 MB  the first one                         none",
                "   3  1 min 30 s      104 ms  3.1 MB/s     260 kB      12  34 MB  bulk and interactive traffic at once  http://two:3128",
            ]
        )
        client.session?.lanes[1].proxy = nil
        let same = StatusPage(status: .client(client), rates: nil).lanes.0.lines
        #expect(!same.contains { $0.contains("PROXY") })
        let keys = String(decoding: try StatusJSON.encode(client), as: UTF8.self)
        for key in [
            "number", "since", "rate", "round_trip_ms", "retransmitted_segments", "unacknowledged_bytes", "reason",
        ] {
            #expect(keys.contains("\"\(key)\" : "), "\(key)")
        }
    }

    @Test("A client's page has a row for each of its sessions, and a status without further ones is read as before")
    func sessionsOfClient() throws {
        func session(_ url: String) -> ClientSessionStatus {
            ClientSessionStatus(
                url: url,
                software: "culvert/0.1.0",
                since: Self.start,
                isDraining: false,
                hasCarrier: true,
                carriers: 1,
                resumes: 0,
                streams: 0,
                queuedBytes: 0,
                bufferedBytes: 0,
                tunnels: [],
                visitors: []
            )
        }
        var client = ClientStatus(
            started: Self.start,
            now: Self.start.addingTimeInterval(60),
            connection: ConnectionStatus(isConnected: true),
            session: session("wss://one/tunnel"),
            totals: TotalStatus(sessions: 2, visitors: 0, bytesToService: 0, bytesToVisitor: 0)
        )
        let one = try StatusJSON.encode(client)
        #expect(!String(decoding: one, as: UTF8.self).contains("further_sessions"))
        #expect(try StatusJSON.decode(ClientStatus.self, from: one) == client)
        #expect(StatusPage(status: .client(client), rates: nil).lines[1].hasPrefix("now: a session,"))
        client.furtherSessions = [session("wss://two/tunnel")]
        #expect(try StatusJSON.decode(ClientStatus.self, from: StatusJSON.encode(client)) == client)
        let page = StatusPage(status: .client(client), rates: nil)
        #expect(page.lines[1].hasPrefix("now: 2 sessions,"))
        #expect(
            page.sessions.lines.dropFirst().map { $0.prefix { $0 != " " } } == ["wss://one/tunnel", "wss://two/tunnel"]
        )
    }

    @Test("With rates the page has two more columns, and rates in the second line")
    func rates() {
        let (old, new) = (server(), server(bytes: 2_200_000, visitors: 2))
        let rates = StatusRates(from: .server(old), to: .server(new), seconds: 2)
        #expect(rates[.total] == .init(toService: 500_000, toVisitor: 0))
        #expect(rates[.tunnel(session: 4, 0)] == .init(toService: 500_000, toVisitor: 0))
        #expect(rates[.visitor(session: 4, 2)] == .init(toService: 0, toVisitor: 0))
        // A new visitor's rate counts from zero.
        #expect(rates[.visitor(session: 4, 4)] == .init(toService: 500.5, toVisitor: 0))
        let lines = StatusPage(status: .server(new), rates: rates).lines
        #expect(lines[1] == "now: 1 session, 1 tunnel, 2 visitors, 500 kB/s to services, 0 B/s to visitors")
        #expect(lines.contains { $0.hasSuffix("TO SERVICE  TO VISITOR        IN    OUT") })
        #expect(lines.contains { $0.hasPrefix("workshop/a  [::]:8022 ") && $0.hasSuffix("  500 kB/s  0 B/s") })
    }

    @Test("Of many visitors the page shows the busiest, and the number of the others")
    func manyVisitors() {
        let lines = StatusPage(status: .server(server(visitors: 100)), rates: nil).lines
        #expect(lines.last == "and 60 visitors more; --json has all")
        #expect(lines.contains { $0.hasPrefix("198.51.100.7:5099 ") })
        #expect(!lines.contains { $0.hasPrefix("198.51.100.7:5000 ") })
    }

    @Test("Of many clients that are gone the page shows the latest, and the number of the others")
    func manyGone() {
        let lines = StatusPage(status: .server(server(gone: 13)), rates: nil).lines
        #expect(lines.contains("and 3 clients more; --json has all"))
        #expect(lines.contains { $0.hasPrefix("depot/10 ") } && !lines.contains { $0.hasPrefix("depot/11 ") })
    }

    @Test("A client without a WebSocket has a line with the reason")
    func lost() {
        var server = server()
        server.sessions[0].hasCarrier = false
        server.sessions[0].carrierSince = nil
        (server.sessions[0].lastLoss, server.sessions[0].lastLossAt) = ("cut", server.now.addingTimeInterval(-7))
        let lines = StatusPage(status: .server(server), rates: nil).lines
        #expect(lines.contains("workshop/a lost its WebSocket 7 s ago: cut"))
        #expect(
            lines.contains { $0.hasPrefix("workshop/a (no WebSocket)  ") && $0.hasSuffix("  -        2       23 ms") }
        )
    }

    @Test("A status in one line is the same status, also if it has line breaks and spaces")
    func oneLine() throws {
        var server = server()
        server.gone[0].reason = "two\nlines  and \" spaces"
        let line = StatusJSON.line(try StatusJSON.encode(server))
        #expect(!line.contains("\n"))
        #expect(try StatusJSON.decode(ServerStatus.self, from: Data(line.utf8)) == server)
    }

    @Test("A page that is higher than the terminal ends with the number of lines that are left out")
    func rows() {
        let lines = (1...5).map { "line \($0)" }
        let whole = "\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J"
        #expect(TerminalScreen.drawing(lines, rows: 5) == whole)
        #expect(TerminalScreen.drawing(lines, rows: nil) == whole)
        let cut = TerminalScreen.drawing(lines, rows: 3)
        #expect(cut.contains("line 2\u{1B}[K\r\nand 3 lines more; enlarge the window\u{1B}[K"))
        #expect(!cut.contains("line 3"))
    }

    @Test("The page of a client without a session has the reason and the next try")
    func client() throws {
        let status = ClientStatus(
            started: Self.start,
            now: Self.start.addingTimeInterval(5),
            connection: ConnectionStatus(
                isConnected: false,
                withoutSince: Self.start.addingTimeInterval(1),
                lastError: "ws://127.0.0.1:1: connect: 127.0.0.1:1 refused the connection",
                lastErrorAt: Self.start.addingTimeInterval(2),
                nextTry: Self.start.addingTimeInterval(12)
            ),
            session: nil,
            totals: TotalStatus(sessions: 0, visitors: 0, bytesToService: 0, bytesToVisitor: 0)
        )
        let page = StatusPage(status: try RoleStatus(StatusJSON.encode(status)), rates: nil)
        #expect(
            page.lines == [
                "culvert 0.1.0 client, up 5 s",
                "now: no session, not connected for 4 s, next try in 7 s, 0 visitors",
                "so far: 0 sessions, 0 visitors, 0 B to services, 0 B to visitors",
                "last error, 3 s ago: ws://127.0.0.1:1: connect: 127.0.0.1:1 refused the connection",
            ]
        )
    }

    @Test("A status reads back from JSON unchanged, and its keys are in snake case")
    func json() throws {
        let data = try StatusJSON.encode(server())
        #expect(try StatusJSON.decode(ServerStatus.self, from: data) == server())
        let text = String(decoding: data, as: UTF8.self)
        for key in ["bytes_to_service", "round_trip_ms", "visitors_so_far", "is_accepting", "2027-01-15T08:01:30Z"] {
            #expect(text.contains("\"\(key)\""), "\(key)")
        }
    }

    @Test("Columns are as wide as their widest cell, and no line ends with a space")
    func table() {
        var table = TextTable([.init(title: "A"), .init(title: "LONG", alignment: .trailing), .init(title: "B")])
        table.append(["äöü", "1", ""])
        table.append(["", "12345", "x"])
        #expect(table.lines == ["A     LONG  B", "äöü      1", "     12345  x"])
    }

    @Test(
        "A number of bytes is shown with a unit",
        arguments: [
            (0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_249, "1.2 kB"), (9_960, "10 kB"), (999_499, "999 kB"),
            (999_500, "1.0 MB"), (1_500_000_000, "1.5 GB"), (Int.max, "9223 PB"),
        ]
    )
    func bytes(_ count: Int, _ text: String) {
        #expect(CompactNumber.bytes(count) == text)
    }

    @Test(
        "A time is shown in its two largest units",
        arguments: [
            (-3, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3_599, "59 min 59 s"), (7_260, "2 h 1 min"),
            (90_000, "1 d 1 h"),
        ] as [(Double, String)]
    )
    func times(_ seconds: Double, _ text: String) {
        #expect(CompactNumber.time(seconds) == text)
    }
}
