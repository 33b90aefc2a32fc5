extension ConnectExchange: CustomStringConvertible, CustomReflectable {
    /// The target without credentials.
    public var description: String { "CONNECT \(target)" }

    /// Hides the sent bytes, which would show the password.
    public var customMirror: Mirror { Mirror(self, children: ["target": target]) }
}

extension ConnectExchange.Action: CustomStringConvertible, CustomReflectable {
    /// The action with the number of bytes in place of the bytes, which may contain a password.
    public var description: String {
        switch self {
        case .send(let bytes): "send \(bytes.readableBytes) bytes"
        case .established: "established"
        case .reconnectThenSend(let bytes): "reconnect, then send \(bytes.readableBytes) bytes"
        case .fetchTicket: "fetch a ticket"
        case .fail(let error): "fail: \(error)"
        }
    }

    /// Hides everything but the description.
    public var customMirror: Mirror { Mirror(self, children: ["action": description]) }
}
