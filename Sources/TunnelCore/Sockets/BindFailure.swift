extension ListenAddress {
    /// Why the address cannot be listened on, with what to do about it.
    package func bindFailureReason(_ error: any Error) -> String {
        let isUnix = if case .unix = self { true } else { false }
        return Self.bindFailureReason(error, isUnix: isUnix)
    }

    /// Why a socket cannot be listened on, with what to do about it.
    package static func bindFailureReason(_ error: any Error, isUnix: Bool = false) -> String {
        switch SocketFailure(error) {
        case .notPermitted? where isUnix: "permission denied; the user must be able to write to its folder"
        case .addressInUse? where isUnix: "a file is there that is not a socket; remove it, or choose another path"
        case .addressInUse?: "the address is in use by another program"
        case .notPermitted?: "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE"
        case .addressMissing?: "this machine does not have that address"
        default: error.userDescription
        }
    }
}
