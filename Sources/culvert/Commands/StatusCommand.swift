import ArgumentParser
import Foundation
import Tunnel

/// `culvert status`: shows what a running server or client does.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows the sessions, tunnels and visitors of a running server or client."
    )

    /// Clears the terminal and its scrollback.
    private static let clearScreen = "\u{1B}[H\u{1B}[2J\u{1B}[3J"

    @OptionGroup var admin: AdminSocketOption

    @Flag(help: "Print JSON, for programs.")
    var json = false

    @Flag(help: "Show the status each second, with rates, until Ctrl-C.")
    var watch = false

    func run() async throws {
        let path = try admin.path()
        let client = AdminClient(path: path)
        guard watch else { return try await show(client.ask("GET", "/status")) }
        var last: (status: RoleStatus, at: ContinuousClock.Instant)?
        while true {
            let data = try await client.ask("GET", "/status")
            let now = ContinuousClock.now
            if json {
                try show(data)
            } else {
                let status = try RoleStatus(data)
                let rates = last.map { last in
                    StatusRates(from: last.status, to: status, seconds: (now - last.at).inSeconds)
                }
                let page = StatusPage(status: status, rates: rates).lines.joined(separator: "\n")
                // A file or a pipe gets the pages one after another.
                Output.line(isTerminal ? Self.clearScreen + page : page + "\n")
                last = (status, now)
            }
            try await Task.sleep(until: now + .seconds(1))
        }
    }

    private func show(_ data: Data) throws(Failure) {
        if json { return Output.bytes(Array(data)) }
        let page = StatusPage(status: try RoleStatus(data), rates: nil)
        Output.line(page.lines.joined(separator: "\n"))
    }

    private var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
}

extension Duration {
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
