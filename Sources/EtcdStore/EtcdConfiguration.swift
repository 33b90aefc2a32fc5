import NIOCore
import NIOSSL

/// Where etcd is, and how it is asked.
package struct EtcdConfiguration: Sendable {
    /// The members' addresses. One is used, and the next one if it fails.
    package var endpoints: [EtcdEndpoint]
    /// The CAs that are trusted for etcd's certificates; empty for the system's.
    package var authorities: [NIOSSLCertificate] = []
    /// The certificate for members that want one, with the CAs above it. It opens the connection and gives no rights: the
    /// JSON gateway knows a user by name and password alone. If etcd has users, the gateway refuses a certificate whose
    /// subject has a common name.
    package var certificateChain: [NIOSSLCertificateSource] = []
    /// The certificate's key.
    package var privateKey: NIOSSLPrivateKeySource?
    /// The user; nil if etcd has no authentication.
    package var user: String?
    /// The user's password.
    package var password = ""
    /// What all keys begin with.
    package var prefix = "culvert/"
    /// The time for a request at all endpoints that are tried.
    package var requestTimeout = TimeAmount.seconds(2)
    /// The longest time after which a watch that has brought nothing is probed.
    package var probeInterval = TimeAmount.seconds(5)
    /// The time in which the watch has to bring the probe's event.
    package var probeTimeout = TimeAmount.seconds(2)

    /// Creates a configuration.
    package init(endpoints: [EtcdEndpoint]) {
        self.endpoints = endpoints
    }
}

/// A configuration of etcd cannot be used.
package struct EtcdConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The reason: a clause.
    package let description: String
}
