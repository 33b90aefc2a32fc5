import TestSupport
import Testing

/// A database, whose dump crosses a session in tests of proxies that inspect.
struct InspectedDatabase {
    private static let (table, row) = ("salaries_of_alma", "row-of-alma-with-a-secret")
    private static let rows = 10_000

    /// The bytes of all rows.
    static var bytes: Int { rows * row.utf8.count }

    private let postgres: Postgres

    /// The value of `-R`.
    var remote: String { "0:\(postgres.socket)" }

    /// Starts a database without tables.
    static func start(in scenario: Scenario) async throws -> InspectedDatabase {
        InspectedDatabase(postgres: try await Postgres.start(in: scenario))
    }

    /// Creates a table and dumps it, both through the tunnel.
    func dump(_ client: CulvertClient, _ scenario: Scenario) async throws -> InspectedTraffic.Secrets {
        let socket = postgres.socket
        let line = try await client.process.line { $0.hasPrefix("tunnel tcp://") && $0.hasSuffix(socket) }
        let address = line.dropFirst("tunnel tcp://".count).prefix { $0 != " " }
        let port = try #require(address.split(separator: ":").last.flatMap { UInt16($0) })
        _ = try await Postgres.query(
            "create table \(Self.table) as select n, '\(Self.row)' as secret from generate_series(1, \(Self.rows)) n",
            port: port,
            in: scenario
        )
        let lines = try await Postgres.dump(port: port, in: scenario).split(separator: "\n")
        #expect(lines.count { $0.hasSuffix(Self.row) } == Self.rows)
        return InspectedTraffic.Secrets(
            readable: [Self.table, Self.row, "generate_series", "pg_dump"].map { Needle($0) },
            others: [Needle(port), Needle(socket)]
        )
    }
}
