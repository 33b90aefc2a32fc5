/// Negotiates permessage-deflate (RFC 7692, sections 5 and 7.1) for both roles.
enum DeflateNegotiation {
    static let name = "permessage-deflate"

    /// The parameters of one offer or of the answer, each at most once and in its range.
    private struct Parameters {
        var serverNoContextTakeover = false
        var clientNoContextTakeover = false
        var serverMaxWindowBits: Int?
        /// `.some(nil)` if the parameter has no value.
        var clientMaxWindowBits: Int??

        /// Reads the parameters; nil if one is unknown or repeated, or has a missing, unexpected or out-of-range value.
        /// Such an offer is declined; such an answer fails the connection (section 7.1).
        init?(_ element: ExtensionElement, clientBitsNeedValue: Bool) {
            var seen: Set<String> = []
            for parameter in element.parameters {
                guard seen.insert(parameter.name).inserted else { return nil }
                switch parameter.name {
                case "server_no_context_takeover":
                    guard parameter.value == nil else { return nil }
                    serverNoContextTakeover = true
                case "client_no_context_takeover":
                    guard parameter.value == nil else { return nil }
                    clientNoContextTakeover = true
                case "server_max_window_bits":
                    guard let bits = Self.bits(parameter.value) else { return nil }
                    serverMaxWindowBits = bits
                case "client_max_window_bits":
                    if parameter.value == nil, !clientBitsNeedValue {
                        clientMaxWindowBits = .some(nil)
                    } else {
                        guard let bits = Self.bits(parameter.value) else { return nil }
                        clientMaxWindowBits = .some(bits)
                    }
                default:
                    return nil
                }
            }
        }

        /// Parses 8 to 15 in decimal without leading zeros (section 7.1.2).
        private static func bits(_ text: String?) -> Int? {
            guard let text, (1...2).contains(text.utf8.count), !text.hasPrefix("0"),
                text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let bits = Int(text)
            else { return nil }
            return (DeflateOptions.narrowestWindow...DeflateOptions.widestWindow).contains(bits) ? bits : nil
        }
    }

    // MARK: Server

    /// Chooses the first offer that can be met; nil if all are declined, which is not an error.
    static func accept(
        _ values: [String],
        _ options: DeflateOptions
    ) -> (agreement: DeflateAgreement, answer: String)? {
        guard let offers = ExtensionElement.parse(values) else { return nil }
        for offer in offers where offer.name == name {
            guard let wanted = Parameters(offer, clientBitsNeedValue: false) else { continue }
            // A window of 8 bits could be promised only by never compressing.
            let serverBits = min(wanted.serverMaxWindowBits ?? DeflateOptions.widestWindow, options.serverMaxWindowBits)
            guard serverBits >= DeflateOptions.narrowestForCompressing else { continue }
            return accept(wanted, serverBits, options)
        }
        return nil
    }

    private static func accept(
        _ wanted: Parameters,
        _ serverBits: Int,
        _ options: DeflateOptions
    ) -> (agreement: DeflateAgreement, answer: String) {
        // Only a client that announced support may be told to use a smaller window.
        var clientBits = DeflateOptions.widestWindow
        if let offered = wanted.clientMaxWindowBits {
            clientBits = min(offered ?? DeflateOptions.widestWindow, options.clientMaxWindowBits)
        }
        let agreement = DeflateAgreement(
            serverNoContextTakeover: wanted.serverNoContextTakeover || options.serverNoContextTakeover,
            clientNoContextTakeover: wanted.clientNoContextTakeover || options.clientNoContextTakeover,
            serverMaxWindowBits: serverBits,
            clientMaxWindowBits: clientBits,
            options: options
        )
        var parts = [name]
        if agreement.serverNoContextTakeover { parts.append("server_no_context_takeover") }
        if agreement.clientNoContextTakeover { parts.append("client_no_context_takeover") }
        if wanted.serverMaxWindowBits != nil || serverBits < DeflateOptions.widestWindow {
            parts.append("server_max_window_bits=\(serverBits)")
        }
        if wanted.clientMaxWindowBits != nil, clientBits < DeflateOptions.widestWindow {
            parts.append("client_max_window_bits=\(clientBits)")
        }
        return (agreement, parts.joined(separator: "; "))
    }

    // MARK: Client

    /// Returns a client's offer.
    static func offer(_ options: DeflateOptions) -> String {
        var parts = [name]
        if options.serverNoContextTakeover { parts.append("server_no_context_takeover") }
        if options.clientNoContextTakeover { parts.append("client_no_context_takeover") }
        if options.serverMaxWindowBits < DeflateOptions.widestWindow {
            parts.append("server_max_window_bits=\(options.serverMaxWindowBits)")
        }
        let isNarrow = options.clientMaxWindowBits < DeflateOptions.widestWindow
        parts.append("client_max_window_bits" + (isNarrow ? "=\(options.clientMaxWindowBits)" : ""))
        return parts.joined(separator: "; ")
    }

    /// Checks a server's answer to ``offer(_:)``.
    ///
    /// - Returns: nil if the server declined.
    /// - Throws: `unrequestedExtension` for another or a second extension, `deflateParameters` for an answer that does
    ///   not fit the offer.
    static func judge(_ values: [String], _ options: DeflateOptions?) throws(UpgradeError) -> DeflateAgreement? {
        guard !values.isEmpty else { return nil }
        guard let options, let answers = ExtensionElement.parse(values), answers.count == 1, answers[0].name == name
        else {
            throw .unrequestedExtension
        }
        guard let given = Parameters(answers[0], clientBitsNeedValue: true) else { throw .deflateParameters }
        // The server must grant what the client asked of it (sections 7.1.1.1 and 7.1.2.1).
        guard !options.serverNoContextTakeover || given.serverNoContextTakeover else { throw .deflateParameters }
        let serverBits = given.serverMaxWindowBits ?? DeflateOptions.widestWindow
        guard serverBits <= options.serverMaxWindowBits else { throw .deflateParameters }
        let clientBits = (given.clientMaxWindowBits ?? nil) ?? DeflateOptions.widestWindow
        return DeflateAgreement(
            serverNoContextTakeover: given.serverNoContextTakeover,
            clientNoContextTakeover: given.clientNoContextTakeover || options.clientNoContextTakeover,
            serverMaxWindowBits: serverBits,
            clientMaxWindowBits: min(clientBits, options.clientMaxWindowBits),
            options: options
        )
    }
}
