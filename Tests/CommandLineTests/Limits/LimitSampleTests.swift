import Foundation
import Mux
import Testing
import Tunnel

@testable import culvert

/// The sample configurations show the defaults of the table of limits.
@Suite("Limits in the samples")
struct LimitSampleTests {
    @Test("a sample shows every key of its role once, with its default", arguments: ["server", "client"])
    func samples(role: String) throws {
        let shown = try lines(of: role)
        let names = shown.map { String($0.prefix { $0 != " " }) }
        let rows = LimitRangeTests.cases.filter { $0.isServer == (role == "server") }
        #expect(names.sorted() == rows.map(\.key.name).sorted())
        let text = "[limits]\n" + shown.joined(separator: "\n") + "\n"
        if role == "server" {
            let configuration = try LimitFile.server(text)
            for row in rows { #expect(row.key.server?.read(configuration) == row.limit.value, "\(row.key.name)") }
            #expect(configuration.limits == MuxLimits())
            #expect(configuration.serverLimits == ServerLimits())
        } else {
            let configuration = try LimitFile.client(text)
            for row in rows { #expect(row.key.client?.read(configuration) == row.limit.value, "\(row.key.name)") }
            #expect(configuration.limits == MuxLimits())
            #expect(configuration.clientLimits == ClientLimits())
        }
    }

    /// The lines of the sample's table `[limits]` that show a key, without their comment sign.
    private func lines(of role: String) throws -> [String] {
        let path = LimitFile.root.appendingPathComponent("Fixtures/configuration/\(role).toml").path
        let sample = try String(contentsOfFile: path, encoding: .utf8)
        let table = try #require(sample.split(separator: "[limits]").dropFirst().first?.split(separator: "[[").first)
        return table.split(separator: "\n").filter { $0.hasPrefix("# ") && $0.contains(" = ") }
            .map { String($0.dropFirst(2)) }
    }
}
