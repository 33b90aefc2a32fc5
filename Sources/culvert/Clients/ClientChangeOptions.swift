import ArgumentParser
import NetworkAddress
import Platform
import Tunnel

/// The flags of the commands that change a client's entry.
struct ClientChangeOptions: ParsableArguments {
    @Option(help: "The server's configuration.")
    var config = ServerConfigurationEdit.standardPath

    @Flag(help: "Change the file only; the server follows at its next reload.")
    var noReload = false

    @OptionGroup var admin: AdminSocketOption

    /// Makes the running server follow the file, and prints what has changed there.
    func reload() async throws(Failure) {
        guard !noReload else { return }
        let path: String
        do throws(Failure) {
            path = try admin.path(needsServer: true)
        } catch {
            guard error.status == .unreachable, admin.admin == nil else { throw error }
            return Output.error("culvert: no server runs here now; the change holds when it starts")
        }
        try await ReloadCommand.reload(path)
    }
}

/// The flags of the commands that make a token.
struct ClientTokenOptions: ParsableArguments {
    @Option(help: "Write the token to this file, mode 0600, in place of printing it.")
    var tokenOut: String?

    @Option(help: "The server's URL, for the lines that are printed. (default: wss:// and this machine's name)")
    var url: String?

    /// The URL to print.
    func shownURL(path: String) -> String {
        if let url { return url }
        var name = [CChar](repeating: 0, count: 256)
        let isKnown = gethostname(&name, name.count - 1) == 0
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let host = isKnown ? String(decoding: bytes, as: UTF8.self) : "HOST"
        return "wss://\(host)\(path == "/tunnel" ? "" : path)"
    }

    func validate() throws {
        if let url {
            do throws(EndpointURL.Malformed) { _ = try EndpointURL(url) } catch {
                throw ValidationError("--url: \(error)")
            }
        }
    }
}
