package com.amazonaws.services.lambda.runtime;

/** Who called through Amazon Cognito. */
public interface CognitoIdentity {
    String getIdentityId();

    String getIdentityPoolId();
}
