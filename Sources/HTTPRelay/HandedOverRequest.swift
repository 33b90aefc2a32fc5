import HTTP1

extension RelayedRequest {
    /// The head of a request whose connection goes to another server of the same operator, which relays it.
    ///
    /// It states the request's origin as a front does. Each connection carries one request there, since the next one may be
    /// another visitor's, or for a name of a third server.
    ///
    /// - Parameter destination: that of `head`.
    public static func handedOver(
        _ head: RequestHead,
        to destination: Destination,
        from origin: RequestOrigin
    ) throws(HTTP1Error) -> RequestHead {
        var other = head
        other.fields = head.fields.only { name, _ in
            let kind = FieldKind(name)
            return !kind.contains(.origin) || origin.isFromFront && kind.contains(.isSpelledOut)
        }
        try origin.write(host: destination.host, to: &other.fields, except: [])
        try other.fields.append("Connection", "close")
        return other
    }
}
