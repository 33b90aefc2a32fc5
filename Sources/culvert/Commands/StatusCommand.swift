import ArgumentParser
import Platform
import Tunnel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `culvert status`: shows what a running server or client does.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows the sessions, tunnels and visitors of a running server or client."
    )

    @OptionGroup var admin: AdminSocketOption

    @Flag(help: "Print JSON, for programs.")
    var json = false

    @Flag(help: "Show the status each second, with rates, until Ctrl-C; with --json one object a line.")
    var watch = false

    @Flag(help: "Show the clients of all servers of the cluster.")
    var cluster = false

    func validate() throws {
        if cluster, watch { throw ValidationError("--cluster shows the clients once; leave out --watch") }
    }

    func run() async throws {
        let client = AdminClient(path: try admin.path(needsServer: cluster))
        if cluster { return try await showCluster(client) }
        guard watch else { return try await show(client.ask("GET", "/status")) }
        let hasScreen = !json && TerminalScreen.isThere
        var last: (status: RoleStatus, at: ContinuousClock.Instant)?
        defer { if hasScreen, last != nil { TerminalScreen.end() } }
        while true {
            let data = try await client.ask("GET", "/status")
            let now = ContinuousClock.now
            if json {
                Output.line(StatusJSON.line(data))
            } else {
                let status = try RoleStatus(data)
                let rates = last.map { last in
                    StatusRates(from: last.status, to: status, seconds: (now - last.at).inSeconds)
                }
                let lines = StatusPage(status: status, rates: rates).lines
                if hasScreen, last == nil { TerminalScreen.begin() }
                // A file or a pipe gets the pages one after another.
                if hasScreen { TerminalScreen.show(lines) } else { Output.line(lines.joined(separator: "\n") + "\n") }
                last = (status, now)
            }
            try await Task.sleep(until: now + .seconds(1))
        }
    }

    private func showCluster(_ client: AdminClient) async throws(Failure) {
        let data = try await client.ask("GET", "/cluster")
        if json { return Output.bytes(Array(data)) }
        guard let clients = try? StatusJSON.decode(ClusterClients.self, from: data) else {
            throw Failure(.notOurProtocol, "the answer is not one that this release can read")
        }
        Output.line(ClusterPage(clients: clients).lines.joined(separator: "\n"))
    }

    private func show(_ data: Data) throws(Failure) {
        if json { return Output.bytes(Array(data)) }
        let page = StatusPage(status: try RoleStatus(data), rates: nil)
        Output.line(page.lines.joined(separator: "\n"))
    }
}

extension Duration {
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
