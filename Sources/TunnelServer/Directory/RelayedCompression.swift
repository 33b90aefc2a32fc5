import WebSocket

/// The compression of a carrier that another server relays, in the OPEN that brings it. Nothing was compressed before: zlib is
/// not used until the client has proved itself.
extension DeflateAgreement {
    /// `deflate/T/T/BITS/BITS`: whether the server's and the client's contexts are `kept` or `reset` after each message, and the
    /// exponents of their windows.
    var relayText: String {
        func context(_ isReset: Bool) -> String { isReset ? "reset" : "kept" }
        let contexts = "\(context(serverNoContextTakeover))/\(context(clientNoContextTakeover))"
        return "deflate/\(contexts)/\(serverMaxWindowBits)/\(clientMaxWindowBits)"
    }

    /// - Parameter options: the settings of this server's compressor.
    /// - Returns: nil for another text.
    init?(relayText text: String, _ options: DeflateOptions) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 5, let server = Int(parts[3]), let client = Int(parts[4]) else { return nil }
        guard (8...15).contains(server), (8...15).contains(client) else { return nil }
        self.init(
            serverNoContextTakeover: parts[1] == "reset",
            clientNoContextTakeover: parts[2] == "reset",
            serverMaxWindowBits: server,
            clientMaxWindowBits: client,
            options: options
        )
        guard relayText == text else { return nil }
    }
}
